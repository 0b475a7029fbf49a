// Walks the records of a pcap file by their headers: how many frames it says it holds.
// With times in microseconds, and in nanoseconds.
const MAGIC = [0xa1b2c3d4, 0xa1b23c4d];
const FILE_HEADER = 24;
const RECORD_HEADER = 16;

/** The number of frames; throws if a header or a frame is cut off. */
export function countFrames(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < FILE_HEADER) throw new Error('no pcap file: shorter than its header');
  const little = MAGIC.includes(view.getUint32(0, true));
  if (!little && !MAGIC.includes(view.getUint32(0, false))) throw new Error('no pcap file: wrong magic number');
  let frames = 0;
  for (let at = FILE_HEADER; at < bytes.length; frames++) {
    const rest = bytes.length - at - RECORD_HEADER;
    if (rest < 0 || view.getUint32(at + 8, little) > rest) throw new Error(`frame ${frames + 1} is cut off`);
    at += RECORD_HEADER + view.getUint32(at + 8, little);
  }
  return frames;
}
