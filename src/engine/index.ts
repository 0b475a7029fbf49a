export { Engine } from './engine';
export type { EngineOptions, InterruptMessage } from './engine';
export { COUNTER_COUNT, COUNTER_NAMES, countersBetween } from './counters';
export type { CounterName, Counters } from './counters';
export { engineBytes, instantiate, isShared } from './exports';
export type { EngineExports } from './exports';
export { Random } from './random';
export { DEFAULT_CACHES, FRAMES_MAX } from './layout';
export type { CacheGeometry, Measure } from './layout';
