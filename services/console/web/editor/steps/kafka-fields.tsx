/** The fields of a source of topics: brokers, login, encryption, and the registry of its schemas. */
import type { ReactElement } from 'react'
import { nameIn, textAt, valueAt, withValue } from '../draft.ts'
import { docsOf } from '../field-docs.ts'
import { Labelled, problemAt, TextField, useWriting } from '../fields.tsx'
import { grantOf } from '../../secrets/granted-hosts.ts'
import { isMap } from '../../ui/fields-of.ts'
import { KeptSecretField, type KeepSecret, secretAs } from '../kept-secret-field.tsx'
import { registryParts, registryUrl, type RegistryParts } from '../registry-url.ts'
import { SelectField } from '../select-field.tsx'
import { brokersIn, grantForBrokers, isTlsChecked } from '../brokers.ts'
import type { Editing } from '../use-editing.ts'

export interface KafkaProps {
  readonly editing: Editing
  readonly keep: { current: KeepSecret | null }
}

export function BrokersField({ editing }: { readonly editing: Editing }): ReactElement {
  const write = useWriting(editing, ['brokers'])
  const value = valueAt(editing.text, ['brokers'])
  const problem = editing.problems.find(({ field = '' }) => /^brokers\b/.test(field))
  const words =
    problem === undefined ? undefined : brokersIn(editing.text).length === 0 ? MISSING : WITH_PORTS
  return (
    <Labelled
      label="Brokers"
      problem={words}
      hint="Several stand between commas. Some are enough: Kafka names the others."
      docs={docsOf(editing, ['brokers'])}
    >
      {({ id, describedBy }) => (
        <input
          id={id}
          value={Array.isArray(value) ? value.map(String).join(', ') : textAt(editing.text, ['brokers'])}
          placeholder="kafka.example.com:9092"
          autoComplete="off"
          spellCheck={false}
          aria-invalid={words !== undefined}
          aria-describedby={describedBy}
          readOnly={editing.readOnly}
          onChange={({ target }) =>
            write(target.value.trim() === '' ? undefined : target.value.split(',').map(each => each.trim()))
          }
        />
      )}
    </Labelled>
  )
}

const MISSING = 'Type a broker, such as kafka.example.com:9092.'
const WITH_PORTS = 'Each broker needs its port, such as kafka.example.com:9092.'

/** The login at the brokers, if they ask for one. */
export function LoginFields({ editing, keep }: KafkaProps): ReactElement {
  const { text, change, readOnly } = editing
  const isOn = isMap(valueAt(text, ['sasl']))
  return (
    <>
      <SelectField
        label="Login"
        docs={docsOf(editing, ['sasl'])}
        value={isOn ? textAt(text, ['sasl', 'mechanism']) : ''}
        readOnly={readOnly}
        options={[
          ['', 'None'],
          ['scram-sha-512', 'User and password: SCRAM-SHA-512'],
          ['scram-sha-256', 'User and password: SCRAM-SHA-256'],
          ['plain', 'User and password: PLAIN'],
        ]}
        onChoose={mechanism =>
          change(
            mechanism === ''
              ? withValue(text, ['sasl'], undefined)
              : withValue(text, ['sasl', 'mechanism'], mechanism),
          )
        }
      />
      {isOn ? (
        <>
          <TextField
            editing={editing}
            path={['sasl', 'username']}
            label="User"
            hint="The user needs the rights to describe and to read the topics."
          />
          <KeptSecretField
            editing={editing}
            label="Password"
            problem={problemAt(editing, ['sasl', 'password'])}
            hint="The vault keeps it for these brokers alone, and no page shows it again."
            withoutPlace="Type the brokers first: the vault keeps a password for its servers alone."
            suggested={`${nameIn(text)}-password`}
            secret={secretAs(textAt(text, ['sasl', 'password']))}
            read={typed => ({ value: typed, grant: grantForBrokers(text, isTlsChecked(text)) })}
            write={(into, secret) =>
              withValue(into, ['sasl', 'password'], secret === undefined ? undefined : `\${secret:${secret}}`)
            }
            keep={keep}
          />
        </>
      ) : null}
    </>
  )
}

/** The schema registry, which records in Avro need. */
export function RegistryFields({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const path = ['registry']
  const parts = registryParts(textAt(text, path))
  const hint = 'Records in Avro need one. JSON needs none.'
  if (parts === null) return <TextField editing={editing} path={path} label="Schema registry" hint={hint} />
  const set = (changed: Partial<RegistryParts>): void =>
    change(withValue(text, path, registryUrl({ ...parts, ...changed }) || undefined))
  const field = (part: 'url' | 'user', label: string, more: { hint?: string; placeholder?: string }) => (
    <Labelled
      label={label}
      hint={more.hint}
      problem={part === 'url' ? problemAt(editing, path) : undefined}
      docs={part === 'url' ? docsOf(editing, path) : undefined}
    >
      {({ id, describedBy }) => (
        <input
          id={id}
          value={parts[part]}
          placeholder={more.placeholder}
          autoComplete="off"
          spellCheck={false}
          aria-describedby={describedBy}
          readOnly={readOnly}
          onChange={({ target }) => set({ [part]: target.value.trim() })}
        />
      )}
    </Labelled>
  )
  const { hostname = '' } = URL.parse(parts.url) ?? {}
  const isChecked = parts.url.startsWith('https:') && valueAt(text, ['tls', 'insecure']) !== true
  return (
    <details open={parts.url !== ''}>
      <summary>Schema registry, for records in Avro</summary>
      {field('url', 'Schema registry', { hint, placeholder: 'https://registry.example.com:8081' })}
      {hostname === '' ? null : (
        <>
          {field('user', 'User of the registry', { hint: 'Empty if the registry asks for no login.' })}
          <KeptSecretField
            editing={editing}
            label="Password of the registry"
            problem={undefined}
            hint="The vault keeps it for this registry alone."
            withoutPlace="Type the address of the registry first."
            suggested={`${nameIn(text)}-registry`}
            secret={parts.secret || undefined}
            read={typed => ({ value: typed, grant: grantOf(hostname, isChecked) })}
            write={(into, secret = '') => {
              const now = registryParts(textAt(into, path)) ?? parts
              return withValue(into, path, registryUrl({ ...now, secret }) || undefined)
            }}
          />
        </>
      )}
    </details>
  )
}
