/** How large the ports and addresses of a map are written. */

/** What is easily read, in pixels of the screen. */
export const READABLE_PX = 10.5;
/** In units of the drawing: smaller is not read at all, larger is more than a device's name. */
const [SMALLEST, LARGEST] = [8.5, 12];
/** A letter of a monospaced font is this wide, in its size. */
const LETTER = 0.6;

/** The size in units of the drawing, which is shown `scale` times as large: readable, where `letters` have the `room` for it. */
export function labelSize(scale: number, room = Infinity, letters = 1): number {
  return Math.max(SMALLEST, Math.min(READABLE_PX / scale, LARGEST, room / (LETTER * letters)));
}
