/** The thrown error as `name: message`; undefined if nothing is thrown. */
export function refusal(action: () => unknown): string | undefined {
  try {
    action()
    return undefined
  } catch (thrown) {
    return String(thrown)
  }
}
