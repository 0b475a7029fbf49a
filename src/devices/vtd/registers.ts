import { CellFlag } from '../../../assembly/spec/state';
import { Vtd, VtdCap, VtdEcap } from '../../../assembly/spec/vtd';
import { type RegisterRow, type RegisterTable, register } from '../register-table';

const RW = CellFlag.WIDTH_4 | CellFlag.WIDTH_8;
const EFFECT = RW | CellFlag.WRITE_EFFECT;

function row(name: string, off: number, reset: number, writeMask: number, flags: number, meaning: string, w1c = 0): RegisterRow {
  return register(name, off, meaning, { reset, writeMask, flags, w1c });
}

const CAP = VtdCap.ND | VtdCap.SAGAW_39 | VtdCap.SAGAW_48 | VtdCap.SAGAW_57 | (Vtd.MGAW - 1) << VtdCap.MGAW_SHIFT | VtdCap.ZLR
  | (Vtd.FRCD / 16) << VtdCap.FRO_SHIFT;
const CAP_HI = VtdCap.SLLPS_2M_HI | VtdCap.SLLPS_1G_HI | VtdCap.PSI_HI | (Vtd.FRCD_COUNT - 1) << VtdCap.NFR_SHIFT_HI
  | Vtd.MAMV << VtdCap.MAMV_SHIFT_HI | VtdCap.DWD_HI | VtdCap.DRD_HI;
const ECAP = VtdEcap.C | VtdEcap.QI | VtdEcap.IR | VtdEcap.PT | (Vtd.IVA / 16) << VtdEcap.IRO_SHIFT;

/** The remapping unit's window, by offset; a 64-bit register is two rows. */
export const VTD_REGISTERS: RegisterTable = { bar: 0, size: 4096, constant: 0, rows: [
  row('VER', Vtd.VER, Vtd.VERSION, 0, RW, 'version 1.0'),
  row('CAP', Vtd.CAP, CAP, 0, RW, '64 domains, 39-, 48- and 57-bit tables'),
  row('CAP_HI', Vtd.CAP + 4, CAP_HI, 0, RW, '2 MiB and 1 GiB pages, page-selective invalidation, 8 fault records'),
  row('ECAP', Vtd.ECAP, ECAP, 0, RW, 'coherent walks, queued invalidation, interrupt remapping, pass-through'),
  row('ECAP_HI', Vtd.ECAP + 4, 0, 0, RW, ''),
  row('GCMD', Vtd.GCMD, 0, 0, EFFECT, 'global command, write only'),
  row('GSTS', Vtd.GSTS, 0, 0, RW, 'global status'),
  row('RTADDR', Vtd.RTADDR, 0, 0xfffffc00, RW, 'root table'),
  row('RTADDR_HI', Vtd.RTADDR + 4, 0, 0xffffffff, RW, ''),
  row('CCMD', Vtd.CCMD, 0, 0xffffffff, RW, 'context-cache invalidation: SID, DID'),
  row('CCMD_HI', Vtd.CCMD + 4, 0, 0xe0000003, EFFECT, 'ICC, granularity, function mask'),
  row('FSTS', Vtd.FSTS, 0, 0, EFFECT, 'fault status', 0x000000f1),
  row('FECTL', Vtd.FECTL, 0x80000000, 0x80000000, EFFECT, 'fault event mask and pending'),
  row('FEDATA', Vtd.FEDATA, 0, 0x0000ffff, RW, 'fault event data'),
  row('FEADDR', Vtd.FEADDR, 0, 0xfffffffc, RW, 'fault event address'),
  row('FEUADDR', Vtd.FEUADDR, 0, 0xffffffff, RW, ''),
  row('PMEN', Vtd.PMEN, 0, 0, RW, 'no protected memory regions'),
  row('IQH', Vtd.IQH, 0, 0, RW, 'invalidation queue head'),
  row('IQH_HI', Vtd.IQH + 4, 0, 0, RW, ''),
  row('IQT', Vtd.IQT, 0, 0x0007fff0, EFFECT, 'invalidation queue tail'),
  row('IQT_HI', Vtd.IQT + 4, 0, 0, RW, ''),
  row('IQA', Vtd.IQA, 0, 0xfffff007, RW, 'invalidation queue: base, 2^QS pages'),
  row('IQA_HI', Vtd.IQA + 4, 0, 0xffffffff, RW, ''),
  row('ICS', Vtd.ICS, 0, 0, EFFECT, 'invalidation wait complete', 0x1),
  row('IECTL', Vtd.IECTL, 0x80000000, 0x80000000, EFFECT, 'completion event mask and pending'),
  row('IEDATA', Vtd.IEDATA, 0, 0x0000ffff, RW, ''),
  row('IEADDR', Vtd.IEADDR, 0, 0xfffffffc, RW, ''),
  row('IEUADDR', Vtd.IEUADDR, 0, 0xffffffff, RW, ''),
  row('IQERCD', Vtd.IQERCD, 0, 0, RW, 'queue error record'),
  row('IQERCD_HI', Vtd.IQERCD + 4, 0, 0, RW, ''),
  row('IRTA', Vtd.IRTA, 0, 0xfffff00f, RW, 'interrupt remap table: base, 2^(S+1) entries'),
  row('IRTA_HI', Vtd.IRTA + 4, 0, 0xffffffff, RW, ''),
  row('IVA', Vtd.IVA, 0, 0xfffff07f, RW, 'address to invalidate, IH, AM'),
  row('IVA_HI', Vtd.IVA + 4, 0, 0xffffffff, RW, ''),
  row('IOTLB', Vtd.IOTLB, 0, 0, RW, 'IOTLB invalidation'),
  row('IOTLB_HI', Vtd.IOTLB + 4, 0, 0xb003ffff, EFFECT, 'IVT, granularity, DID'),
  ...Array.from({ length: Vtd.FRCD_COUNT }, (_, n) => [
    row(`FRCD${n}`, Vtd.FRCD + 16 * n, 0, 0, RW, 'fault record: page address'),
    row(`FRCD${n}_1`, Vtd.FRCD + 16 * n + 4, 0, 0, RW, ''),
    row(`FRCD${n}_2`, Vtd.FRCD + 16 * n + 8, 0, 0, RW, 'requester'),
    row(`FRCD${n}_3`, Vtd.FRCD + 16 * n + 12, 0, 0, EFFECT, 'reason, type, F', 0x80000000),
  ]).flat(),
] };
