/** A function that is called when a signal aborts. It must not throw. */
type Callback = () => void

interface Hub {
  readonly callbacks: Set<Callback>
  stop(): void
}

const hubs = new WeakMap<AbortSignal, Hub>()

/**
 * Calls back once the signal aborts, until the returned function is called. However many wait for one
 * signal, it has one listener: a gateway ends all of its commands by one, and Node warns about the
 * eleventh listener.
 */
export function onAbort(signal: AbortSignal, callback: Callback): () => void {
  const hub = hubs.get(signal) ?? newHub(signal)
  // Its own function: one that is given twice is called twice.
  const call = () => callback()
  hub.callbacks.add(call)
  return () => {
    hub.callbacks.delete(call)
    if (hub.callbacks.size === 0) hub.stop()
  }
}

function newHub(signal: AbortSignal): Hub {
  const callbacks = new Set<Callback>()
  const abort = () => {
    for (const callback of callbacks) callback()
  }
  const stop = () => {
    if (hubs.get(signal) !== hub) return
    hubs.delete(signal)
    try {
      signal.removeEventListener('abort', abort)
    } catch {
      // A signal of somebody else's making. Its listener has nobody left to call.
    }
  }
  const hub = { callbacks, stop }
  signal.addEventListener('abort', abort)
  hubs.set(signal, hub)
  return hub
}
