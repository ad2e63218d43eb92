import type { Engine } from './engine'
import { NATS } from './nats-engine'
import { REDIS } from './redis-engine'

/** For `describe.each`: all that a shipper can write to. */
export const ENGINES: readonly (readonly [name: string, engine: Engine])[] = [
  [NATS.name, NATS],
  [REDIS.name, REDIS],
]
