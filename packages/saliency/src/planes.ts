/** Planar float image: channel c of pixel (x,y) is `data[(c*height + y)*width + x]`. */
export interface Planes {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Float32Array;
}
