/** Opens the traces of runs if OpenTelemetry's own variables ask for them. Otherwise it loads nothing. */
import type { Environment } from '../environment.ts'
import type { TracedProcess, Traces } from './span.ts'

const ENDPOINTS = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']

/**
 * Resolves null if runs are not traced. Disposing sends the waiting spans, for two seconds at most. Wrong
 * variables are logged, and never end a process: then nothing is traced.
 */
export async function openTraces(
  env: Environment,
  traced: TracedProcess,
): Promise<(Traces & AsyncDisposable) | null> {
  const isAsked = ENDPOINTS.some(name => (env[name] ?? '') !== '')
  const isOff = env['OTEL_SDK_DISABLED'] === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none'
  if (!isAsked || isOff) return null
  const { createOtlpTraces, otlpSettings } = await import('./otlp-traces.ts')
  try {
    return createOtlpTraces(otlpSettings(env, traced), traced.logger)
  } catch (err) {
    traced.logger.warn({ err }, 'runs are not traced: the variables of OpenTelemetry are wrong')
    return null
  }
}
