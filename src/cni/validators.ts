// SPDX-License-Identifier: Apache-2.0
// The compiled schemas. scripts/build-cni.ts puts code in place of this module that says the same without the compiler,
// so what is exported here is all that may be: `schemas`, and one validator for each.
import { Ajv } from 'ajv';
import { responseSchema } from '../protocol/schemas.ts';
import type { Validate } from '../protocol/validation.ts';
import { configurationSchema, previousResultSchema } from './configuration-schema.ts';

export const ajvOptions = { allErrors: true, strictTypes: false, allowUnionTypes: true } as const;

/** By the name of the validator. */
export const schemas = {
  validateConfiguration: configurationSchema,
  validatePreviousResult: previousResultSchema,
  validateResponse: responseSchema,
};

const ajv = new Ajv(ajvOptions);
export const validateConfiguration: Validate = ajv.compile(schemas.validateConfiguration);
export const validatePreviousResult: Validate = ajv.compile(schemas.validatePreviousResult);
export const validateResponse: Validate = ajv.compile(schemas.validateResponse);
