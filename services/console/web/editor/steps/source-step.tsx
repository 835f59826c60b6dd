/** The form of a source: files, a database file, a database server, or topics of Kafka. */
import { useQuery } from '@tanstack/react-query'
import { SERVER_PORTS } from '@sluice/contracts/source-types'
import { useRef, useState, type ReactElement } from 'react'
import { ApiError } from '../../api/client.ts'
import { resourcesQuery } from '../../api/queries.ts'
import { fileOf, freeName, nameIn, textAt, valueAt, withValue } from '../draft.ts'
import { grantForBrokers, isTlsChecked } from '../brokers.ts'
import { docsOf } from '../field-docs.ts'
import { ChoiceField, Labelled, NAME_HINT, problemAt, SwitchField, TextField } from '../fields.tsx'
import {
  grantFor,
  isServerType,
  serverParts,
  serverUrl,
  withHost,
  type ServerParts,
  type ServerType,
} from '../server-url.ts'
import { KeptSecretField, type KeepSecret, secretAs } from '../kept-secret-field.tsx'
import { SelectField } from '../select-field.tsx'
import { TlsSecret } from '../tls-secrets.tsx'
import { UploadCertificate } from '../upload-certificate.tsx'
import { TYPED_MS } from '../model-rows.ts'
import { namesOf } from '../reused.ts'
import { useRested, type Editing } from '../use-editing.ts'
import { BrokersField, type KafkaProps, LoginFields, RegistryFields } from './kafka-fields.tsx'
import { useFiles } from './tables.tsx'
import { TestConnection } from './test-connection.tsx'

/** The names that a source has until somebody gives it another one. */
const FIRST_NAMES: { readonly [type: string]: string } = {
  duckdb: 'files',
  sqlite: 'sqlite',
  postgres: 'postgres',
  mysql: 'mysql',
  kafka: 'kafka',
}

export function SourceStep({ editing }: { readonly editing: Editing }): ReactElement {
  const type = textAt(editing.text, ['type']) || 'duckdb'
  const keep = useRef<KeepSecret | null>(null)
  return (
    <>
      <TypeField editing={editing} />
      <TextField editing={editing} path={['name']} label="Name" hint={NAME_HINT} />
      {isServerType(type) ? <ServerFields editing={editing} type={type} keep={keep} /> : null}
      {type === 'duckdb' ? <FolderField editing={editing} /> : null}
      {type === 'sqlite' ? (
        <TextField
          editing={editing}
          path={['path']}
          label="Database file"
          placeholder="shop.sqlite"
          hint="A server reads only below the folders that its operator allows."
        />
      ) : null}
      {type === 'kafka' ? <KafkaFields editing={editing} keep={keep} /> : null}
      <TestConnection text={editing.text} keep={keep} />
    </>
  )
}

/** The folder, with the files in it, or why they cannot be read. */
function FolderField({ editing }: { readonly editing: Editing }): ReactElement {
  const { data, error } = useFiles(useRested(editing.text, TYPED_MS))
  const [detail] = error instanceof ApiError ? error.details : []
  const problem = detail?.field === 'path' || detail?.field === undefined ? error?.message : undefined
  const own = problem === undefined ? [] : [{ file: fileOf('source'), field: 'path', message: problem }]
  return (
    <TextField
      editing={{ ...editing, problems: [...own, ...editing.problems] }}
      path={['path']}
      label="Folder, or .duckdb file"
      hint={
        data === undefined || data.length === 0
          ? 'File names in the SQL start from this folder. A server reads only below the folders that its operator allows.'
          : `Here are ${data.join(', ')}.`
      }
    />
  )
}

/** The choice of the type. The fields that another type does not have go with it. */
function TypeField({ editing }: { readonly editing: Editing }): ReactElement {
  const { data } = useQuery(resourcesQuery)
  const change = (text: string): void => {
    editing.change(ofType(editing.text, textAt(text, ['type']), namesOf(data?.resources ?? [], 'source')))
  }
  return (
    <ChoiceField
      editing={{ ...editing, change }}
      path={['type']}
      label="Where the rows are"
      isWritten
      choices={[
        ['duckdb', 'Files: CSV, Parquet, JSON, DuckDB'],
        ['sqlite', 'SQLite'],
        ['postgres', 'PostgreSQL'],
        ['mysql', 'MySQL or MariaDB'],
        ['kafka', 'Topics of Kafka'],
      ]}
    />
  )
}

/** The fields that some types have, and others do not. */
const OWN_FIELDS: { readonly [type: string]: readonly string[] } = {
  duckdb: ['path'],
  // The path of a folder is no path of a database, so none is kept.
  sqlite: [],
  postgres: ['url', 'password', 'tls', 'follow', 'allowPrivateNetwork'],
  mysql: ['url', 'password', 'tls', 'allowPrivateNetwork'],
  kafka: ['brokers', 'sasl', 'registry', 'tls', 'allowPrivateNetwork'],
}

/** Changes a source to another type. It keeps only what fits the type, and a name that somebody chose. */
export function ofType(text: string, type: string, taken: readonly string[]): string {
  const before = textAt(text, ['type']) || 'duckdb'
  let changed = withValue(text, ['type'], type)
  for (const field of new Set(Object.values(OWN_FIELDS).flat()))
    if (OWN_FIELDS[type]?.includes(field) !== true) changed = withValue(changed, [field], undefined)
  const parts = serverParts(textAt(text, ['url']))
  if (isServerType(type) && isServerType(before) && parts !== null)
    changed = withValue(changed, ['url'], serverUrl(type, parts) || undefined)
  if (type === 'duckdb' && before !== 'duckdb') changed = withValue(changed, ['path'], '.')
  const name = nameIn(text)
  const isFirst = name.replace(/-\d+$/, '') === FIRST_NAMES[before] && !taken.includes(name)
  return isFirst ? withValue(changed, ['name'], freeName(FIRST_NAMES[type] ?? name, taken)) : changed
}

interface ServerProps {
  readonly editing: Editing
  readonly type: ServerType
  readonly keep: { current: KeepSecret | null }
}

function ServerFields({ editing, type, keep }: ServerProps): ReactElement {
  const { text } = editing
  const name = nameIn(text)
  const parts = serverParts(textAt(text, ['url']))
  const grantIf = (checked: boolean): string =>
    parts === null || parts.host === '' ? '' : grantFor(parts, checked)
  return (
    <>
      {parts === null ? (
        <TextField
          editing={editing}
          path={['url']}
          label="Address"
          hint={`For example ${type}://reader@db.example.com/crm: with the user, and without the password.`}
        />
      ) : (
        <PartFields editing={editing} type={type} parts={parts} />
      )}
      <KeptSecretField
        editing={editing}
        label="Password"
        problem={problemAt(editing, ['password'])}
        hint="The vault keeps it for this server alone, and no page shows it again. A server that asks for none needs none."
        withoutPlace="Type the host first: the vault keeps a password for its server alone."
        suggested={`${name}-password`}
        secret={secretAs(textAt(text, ['password']))}
        read={typed => ({ value: typed, grant: grantIf(isTlsChecked(text)) })}
        write={(into, secret) =>
          withValue(into, ['password'], secret === undefined ? undefined : `\${secret:${secret}}`)
        }
        keep={keep}
      />
      <TlsFields editing={editing} hosts={grantIf(true)} />
      {type === 'postgres' ? <FollowFields editing={editing} /> : null}
      <MoreFields editing={editing} label="Longest time of a query" />
    </>
  )
}

function MoreFields({ editing, label }: { readonly editing: Editing; readonly label: string }): ReactElement {
  return (
    <details>
      <summary>More</summary>
      <TextField
        editing={editing}
        path={['timeout']}
        label={label}
        placeholder="no limit"
        hint="For example 30s, 5m or 2h."
      />
      <SwitchField
        editing={editing}
        path={['allowPrivateNetwork']}
        label="Never connect to a private network"
        hint="Refuses addresses of private networks and of this machine, whatever the host’s name leads to."
        on={false}
      />
    </details>
  )
}

function KafkaFields({ editing, keep }: KafkaProps): ReactElement {
  return (
    <>
      <BrokersField editing={editing} />
      <LoginFields editing={editing} keep={keep} />
      <TlsFields editing={editing} hosts={grantForBrokers(editing.text, true)} />
      <RegistryFields editing={editing} />
      <MoreFields editing={editing} label="Longest time of reading a topic" />
    </>
  )
}

/** Whether syncs may follow its tables, and the names that the database knows that by. */
function FollowFields({ editing }: { readonly editing: Editing }): ReactElement {
  const follows = isFollowed(editing.text)
  // A name that is emptied takes an empty map with it.
  const change = (text: string): void =>
    editing.change(valueAt(text, ['follow']) === undefined ? withValue(text, ['follow'], {}) : text)
  const names = { ...editing, change }
  return (
    <>
      <SwitchField
        editing={{
          ...editing,
          change: text => editing.change(follows ? text : withValue(text, ['follow'], {})),
        }}
        path={['follow']}
        isOn={follows}
        label="Streams may follow its tables"
        hint="A stream then sends each change of a table as it comes."
      />
      {follows ? (
        <>
          <FollowNeeds text={editing.text} />
          <div className="columns">
            <TextField
              editing={names}
              path={['follow', 'publication']}
              label="Publication"
              placeholder="sluice_<sync>"
              hint="Without a name each sync makes one of its own."
            />
            <TextField
              editing={names}
              path={['follow', 'slot']}
              label="Replication slot"
              placeholder="sluice_<sync>"
              hint="A slot with a name serves one sync."
            />
          </div>
        </>
      ) : null}
    </>
  )
}

const isFollowed = (source: string): boolean => valueAt(source, ['follow']) !== undefined

/** Says what somebody runs at the database before a stream can follow its tables, and as whom. */
function FollowNeeds({ text }: { readonly text: string }): ReactElement {
  const user = `"${(serverParts(textAt(text, ['url']))?.user || 'reader').replaceAll('"', '""')}"`
  const publication = textAt(text, ['follow', 'publication'])
  return (
    <section className="to-run" aria-label="What the database needs">
      <p>The database needs this once:</p>
      <ol>
        <li>
          As its administrator, followed by a restart:
          <code>ALTER SYSTEM SET wal_level = logical</code>
        </li>
        <li>
          As its administrator:
          <code>ALTER ROLE {user} REPLICATION</code>
          On Amazon RDS:
          <code>GRANT rds_replication TO {user}</code>
        </li>
        <li>
          As the owner of the table{publication === '' ? ', with the publication named below' : ''}:
          <code>CREATE PUBLICATION {publication || 'sluice'} FOR TABLE public.customers</code>A user that owns
          the table and has CREATE on the database can leave this to Sluice.
        </li>
      </ol>
    </section>
  )
}

interface PartsProps {
  readonly editing: Editing
  readonly type: ServerType
  readonly parts: ServerParts
}

/** The words for a part that is missing. */
const MISSING = {
  host: 'Type the name or the address of the server.',
  database: 'Type the name of the database.',
  user: 'Type the user that Sluice logs in as.',
} as const

function PartFields({ editing, type, parts }: PartsProps): ReactElement {
  const problem = problemAt(editing, ['url'])
  const missing = (['host', 'database', 'user'] as const).filter(part => parts[part] === '')
  const set = (changed: ServerParts): void =>
    editing.change(withValue(editing.text, ['url'], serverUrl(type, changed) || undefined))
  const field = (part: keyof ServerParts, label: string, more: { hint?: string; placeholder?: string }) => {
    // The server has one message for the whole URL. It belongs to the parts that are missing, or to the host.
    const isMissing = part !== 'port' && missing.includes(part)
    const own =
      problem === undefined
        ? undefined
        : isMissing
          ? MISSING[part]
          : missing.length === 0 && part === 'host'
            ? problem
            : undefined
    return (
      <Labelled
        label={label}
        hint={more.hint}
        problem={own}
        docs={part === 'host' ? docsOf(editing, ['url']) : undefined}
      >
        {({ id, describedBy }) => (
          <input
            id={id}
            value={parts[part]}
            placeholder={more.placeholder}
            inputMode={part === 'port' ? 'numeric' : undefined}
            autoComplete="off"
            spellCheck={false}
            aria-invalid={own !== undefined}
            aria-describedby={describedBy}
            readOnly={editing.readOnly}
            onChange={({ target: { value } }) =>
              set(
                part === 'host'
                  ? withHost(parts, value)
                  : { ...parts, [part]: part === 'port' ? value.replaceAll(/\D/g, '') : value },
              )
            }
          />
        )}
      </Labelled>
    )
  }
  return (
    <>
      <div className="columns host-and-port">
        {field('host', 'Host', { placeholder: 'db.example.com', hint: 'A whole URL can be pasted, too.' })}
        {field('port', 'Port', { placeholder: String(SERVER_PORTS[type]) })}
      </div>
      {field('database', 'Database', { placeholder: 'crm' })}
      {field('user', 'User', {
        placeholder: 'reader',
        hint: isFollowed(editing.text)
          ? 'It reads the tables, and follows them with the right REPLICATION.'
          : 'A user that may only read is enough.',
      })}
    </>
  )
}

/** The ways to encrypt, each with the value of `tls` that it begins with. */
const TLS = [
  ['none', 'Not encrypted', undefined],
  ['known', 'TLS, checked by known authorities', {}],
  ['own', 'TLS, checked by your authority', { ca: '' }],
  ['unchecked', 'TLS, unchecked', { insecure: true }],
] as const
type TlsWay = (typeof TLS)[number][0]

function TlsFields({ editing, hosts }: { readonly editing: Editing; readonly hosts: string }): ReactElement {
  const { text, change, readOnly } = editing
  const name = nameIn(text)
  const [uploads, setUploads] = useState(false)
  const way = tlsWay(text)
  const choose = (chosen: string): void => {
    const [, , value] = TLS.find(([each]) => each === chosen) ?? TLS[0]
    const client = ['cert', 'key'].flatMap(field => {
      const kept = valueAt(text, ['tls', field])
      return kept === undefined ? [] : [[field, kept] as const]
    })
    change(withValue(text, ['tls'], value && { ...Object.fromEntries(client), ...value }))
  }
  return (
    <>
      <SelectField
        label="Encryption"
        problem={problemAt(editing, ['tls'])}
        value={way}
        readOnly={readOnly}
        options={TLS.map(([each, label]) => [each, label])}
        onChoose={choose}
      />
      {way === 'own' ? (
        <>
          <TlsSecret editing={editing} field="ca" hosts={hosts} label="Certificate of the authority (PEM)" />
          <p className="actions">
            <button type="button" disabled={readOnly} onClick={() => setUploads(true)}>
              Upload an authority…
            </button>
          </p>
        </>
      ) : null}
      {uploads ? (
        <UploadCertificate
          owner="authority"
          name={name}
          hosts={hosts}
          onDone={({ ca = '' }) => change(withValue(text, ['tls', 'ca'], ca))}
          onClose={() => setUploads(false)}
        />
      ) : null}
      {way === 'none' ? null : (
        <details>
          <summary>Client certificate</summary>
          <TlsSecret editing={editing} field="cert" hosts={hosts} />
          <TlsSecret editing={editing} field="key" hosts={hosts} />
        </details>
      )}
    </>
  )
}

function tlsWay(text: string): TlsWay {
  if (valueAt(text, ['tls']) === undefined) return 'none'
  if (valueAt(text, ['tls', 'insecure']) === true) return 'unchecked'
  return valueAt(text, ['tls', 'ca']) === undefined ? 'known' : 'own'
}
