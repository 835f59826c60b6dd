/** Exit code 0 if the service of this container is alive and takes work, else 1: Docker's HEALTHCHECK. */
const PORTS = ['4747', '4751', '4752', '4753']
const given = process.env.SLUICE_PORT ?? ''
const ports = given === '' ? PORTS : [given]

const answers = await Promise.allSettled(
  ports.map(port => fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(4_000) })),
)
const ready = answers.some(({ status, value }) => status === 'fulfilled' && value.ok)
process.exit(ready ? 0 : 1)
