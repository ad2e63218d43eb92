/** Why the shipper has stopped: which lines, and what to do next. It does not go on by itself. */
export class ShipStoppedError extends Error {
  /** The class's name. */
  override readonly name = 'ShipStoppedError'
}
