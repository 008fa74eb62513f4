export { taskGraph as default } from './taskGraph.ts';
export { mapSlice as 'tiu.mapSlice' } from './mapSlice.ts';
