import { mutatedDocuments } from './contract/mutated-documents.ts'

mutatedDocuments(60_000)
