/**
 * A piscina's task: runs a script's text with these arguments, and ends once the promise that is the value of
 * its last statement has settled, and all that it has printed has left the thread.
 */
module.exports = async ({ code, argv }) => {
  process.argv = argv
  // Not as an indirect eval: the script needs `require`.
  // biome-ignore lint/security/noGlobalEval: it is the test's own text
  await eval(code)
  await new Promise((resolve) => process.stdout.write('', resolve))
}
