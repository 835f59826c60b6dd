import { restartedServicesSuite } from './restarted-services.ts'

restartedServicesSuite({ services: ['kafka', 'registry', 'redis'], restarted: ['registry', 'kafka'] })
