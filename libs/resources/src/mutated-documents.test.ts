import { mutatedDocuments } from './contract/mutated-documents.ts'

mutatedDocuments(2_000)
