import { restartedServicesSuite } from './restarted-services.ts'

restartedServicesSuite({ services: ['redis'], restarted: ['redis'] })
