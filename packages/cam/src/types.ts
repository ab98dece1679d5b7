/** Class activation maps of one image as plain data: one plane a class. */
export interface ClassMaps {
  /** [K,height,width]. */
  data: Float32Array;
  /** K. */
  classes: number;
  height: number;
  width: number;
}
