/*
 * A piscina task that does nothing, for cold-start.ts.
 */
'use strict'
module.exports = () => undefined
