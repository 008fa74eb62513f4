export { taskGraph as default } from './taskGraph.ts';
export { mapSlice as 'tiu.mapSlice' } from './mapSlice.ts';
export { external as 'tiu.external' } from './external.ts';
export { fire as 'tiu.fire' } from './fire.ts';
