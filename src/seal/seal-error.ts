/** What a seal, a key or a proof is not, with what to do next. */
export class SealError extends Error {
  /** The class's name. */
  override readonly name = 'SealError'
}
