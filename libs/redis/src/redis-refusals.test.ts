import { expect, it } from 'vitest'
import { refusalOf } from './redis-refusals.ts'

it.each([
  ["OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:9.", 'transient'],
  ["READONLY You can't write against a read only replica. script: 1f, on @user_script:9.", 'transient'],
  ['NOREPLICAS Not enough good replicas to write. script: 1f, on @user_script:9.', 'transient'],
  ['BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.', 'transient'],
  ['LOADING Redis is loading the dataset in memory', 'transient'],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'transient'],
  ['MISCONF Errors writing to the AOF file: No space left on device. script: 1f', 'transient'],
  ['CLUSTERDOWN Hash slot not served', 'transient'],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'transient'],
  ['ERR max number of clients reached', 'transient'],
  ['NEWWORD something that a later Redis says', 'transient'],
  ['MOVED 5061 10.0.0.1:6379', 'settings'],
  ['ASK 5061 10.0.0.1:6379', 'settings'],
  ["CROSSSLOT Keys in request don't hash to the same slot", 'settings'],
  ['ERR Script attempted to access a non local key in a cluster node script: 1f', 'settings'],
  ['NOAUTH Authentication required.', 'settings'],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'settings'],
  ["NOPERM this user has no permissions to run the 'evalsha' command", 'settings'],
  ["ERR The user executing the script can't run this command or subcommand script: 1f", 'settings'],
  ["NOPERM ACL failure in script: User u has no permissions to run the 'info' command", 'settings'],
  ['DENIED Redis is running in protected mode because protected mode is enabled', 'settings'],
  ['ERR DB index is out of range', 'settings'],
  ['ERR SELECT is not allowed in cluster mode', 'settings'],
  ['ERR This instance has cluster support disabled', 'settings'],
  ["ERR unknown command 'EVALSHA', with args beginning with: ", 'settings'],
  ['WRONGTYPE Operation against a key holding the wrong kind of value script: 1f', 'settings'],
  ["ERR user_script:5: attempt to index local 'a' (a nil value) script: 1f, on @user_script:5.", 'settings'],
  ["ERR user_script:3: bad argument #2 to 'format' (number expected, got nil) script: 1f", 'settings'],
  ['ERR hash value is not an integer script: 1f, on @user_script:220.', 'settings'],
  ['ERR Error compiling script (new function): user_script:1: syntax error', 'script'],
])('%s is %s', (answer, kind) => {
  expect(refusalOf(answer).kind).toBe(kind)
})
