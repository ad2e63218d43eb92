/** Waits until something is so. `otherwise` says what is wrong when it never is. */
export async function until(
  otherwise: string,
  isSo: () => boolean,
  withinMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(otherwise)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
