import { SingleBar } from 'cli-progress'

/** A bar on a terminal's standard error, in the look of all commands; it is gone once it stops. */
export function newBar(
  stream: NodeJS.WriteStream,
  format: string,
  hideCursor: boolean | null,
): SingleBar {
  return new SingleBar({
    stream,
    format,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor,
    clearOnComplete: true,
    gracefulExit: false,
  })
}
