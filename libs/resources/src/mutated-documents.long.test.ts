import { mutatedDocuments } from './contract/mutated-documents.ts'

mutatedDocuments(20_000)
