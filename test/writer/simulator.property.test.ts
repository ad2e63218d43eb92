import { drawSeed, replayOf } from '../support/seed'
import { Simulation, type Tally } from '../support/simulation/simulation'
import { times } from '../support/times'
import { turn } from '../support/waiting'

const SEEDS = times('SIMULATIONS', 10_000, 100_000)
const BATCH = 100

/** Runs the seed; a failure says how to repeat it. */
function run(seed: number): Tally {
  const simulation = new Simulation(seed)
  try {
    return simulation.run()
  } catch (thrown) {
    throw new Error(`${replayOf(seed)}\n${simulation.trace.join('\n')}`, {
      cause: thrown,
    })
  }
}

it('keeps every promise in simulated runs with deaths, failed calls, other processes and power cuts', async () => {
  const first = drawSeed()
  const seeds = process.env.SEED === undefined ? SEEDS : 1
  const total: Record<string, number> = { seeds }
  for (let at = 0; at < seeds; at++) {
    for (const [name, count] of Object.entries(run(first + at))) {
      total[name] = (total[name] ?? 0) + count
    }
    // sonic-boom leaves a callback for each file that it is given.
    if (at % BATCH === 0) await turn()
  }
  const counts = Object.entries(total).map(([name, count]) => `${name}=${count}`)
  process.stdout.write(`    simulated: ${counts.join(' ')} first=${first}\n`)
}, 600_000)
