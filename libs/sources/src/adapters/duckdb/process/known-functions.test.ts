/** Holds the list of functions against those of the installed DuckDB. */
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isAllowedFunction } from './known-functions.ts'

/**
 * Functions that were looked at and are refused. A function of DuckDB that is neither here nor allowed fails
 * the test: look at what it does, and put it into one of the two lists.
 */
const REFUSED: { readonly [why: string]: string } = {
  'it runs a text as SQL': 'query query_table json_execute_serialized_sql json_serialize_plan',
  'it shows or makes the form of SQL, for the former':
    'json_serialize_sql json_deserialize_sql sql_auto_complete',
  'it writes, or makes DuckDB write': `enable_logging disable_logging truncate_duckdb_logs write_log enable_profiling
    disable_profiling checkpoint force_checkpoint`,
  'it changes how DuckDB parses': 'enable_peg_parser disable_peg_parser check_peg_parser',
  'it takes addresses of memory': 'arrow_scan arrow_scan_dumb',
  'it opens a database': 'read_duckdb',
  'it reads a table by its number': 'seq_scan',
  'it tells of the process, its settings and secrets': `current_setting getvariable which_secret
    duckdb_approx_database_count duckdb_columns duckdb_connection_count duckdb_constraints
    duckdb_coordinate_systems duckdb_databases duckdb_dependencies duckdb_extensions duckdb_external_file_cache
    duckdb_functions duckdb_indexes duckdb_keywords duckdb_log_contexts duckdb_logs duckdb_logs_parsed
    duckdb_memory duckdb_optimizers duckdb_prepared_statements duckdb_profiling_settings duckdb_schemas
    duckdb_secret_types duckdb_secrets duckdb_sequences duckdb_settings duckdb_table_sample duckdb_tables
    duckdb_temporary_files duckdb_types duckdb_variables duckdb_views get_block_size
    pragma_collations pragma_database_size pragma_metadata_info pragma_platform pragma_show pragma_storage_info
    pragma_table_info pragma_user_agent pragma_version parse_duckdb_log_message`,
  'it counts up, or waits': 'nextval currval sleep_ms pg_sleep',
  'it is for DuckDB itself or its tests': `combine finalize create_sort_key stats vector_type remap_struct
    constant_or_null is_histogram_other_bin in_search_path timetz_byte_comparable test_all_types
    test_vector_types variant_bytes_to_variant variant_normalize variant_to_parquet_variant make_type
    cast_to_type replace_type txid_current current_transaction_id current_query_id current_connection_id`,
}
const REFUSED_KINDS = /^(__internal_|icu_collate_)/
const KNOWN_VIEWS = `information_schema.character_sets information_schema.check_constraints
  information_schema.columns information_schema.constraint_column_usage information_schema.constraint_table_usage
  information_schema.key_column_usage information_schema.referential_constraints information_schema.schemata
  information_schema.table_constraints information_schema.tables information_schema.views main.duckdb_columns
  main.duckdb_constraints main.duckdb_databases main.duckdb_indexes main.duckdb_logs main.duckdb_schemas
  main.duckdb_tables main.duckdb_types main.duckdb_views main.pragma_database_list main.sqlite_master
  main.sqlite_schema main.sqlite_temp_master main.sqlite_temp_schema pg_catalog.pg_am pg_catalog.pg_attrdef
  pg_catalog.pg_attribute pg_catalog.pg_class pg_catalog.pg_collation pg_catalog.pg_constraint
  pg_catalog.pg_database pg_catalog.pg_depend pg_catalog.pg_description pg_catalog.pg_enum pg_catalog.pg_index
  pg_catalog.pg_indexes pg_catalog.pg_namespace pg_catalog.pg_prepared_statements pg_catalog.pg_proc
  pg_catalog.pg_sequence pg_catalog.pg_sequences pg_catalog.pg_settings pg_catalog.pg_tables
  pg_catalog.pg_tablespace pg_catalog.pg_type pg_catalog.pg_views`

let instance: DuckDBInstance
beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
})
afterAll(() => instance.closeSync())

async function namesOf(sql: string): Promise<readonly string[]> {
  const connection = await instance.connect()
  const rows = (await connection.runAndReadAll(sql)).getRows()
  connection.closeSync()
  return rows.map(([name]) => String(name))
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/)
}

it('knows each function of the installed DuckDB, either as allowed or as refused', async () => {
  // A PRAGMA is no part of a query. Its function cannot be called.
  const names = await namesOf(
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type <> 'pragma' ORDER BY 1",
  )
  const refused = new Set(Object.values(REFUSED).flatMap(words))
  expect(names.length).toBeGreaterThan(500)
  const isRefused = (name: string): boolean => refused.has(name) || REFUSED_KINDS.test(name)
  expect(names.filter(name => !isRefused(name) && !isAllowedFunction(name))).toEqual([])
  expect(names.filter(name => isRefused(name) && isAllowedFunction(name))).toEqual([])
  expect([...refused].filter(name => !names.includes(name))).toEqual([])
})

it('knows each view of the installed DuckDB', async () => {
  const names = await namesOf(
    "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE internal ORDER BY 1",
  )
  expect(names).toEqual([...words(KNOWN_VIEWS)].sort())
})
