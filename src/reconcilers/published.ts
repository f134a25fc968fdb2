// SPDX-License-Identifier: Apache-2.0
// Which addresses the NodeEndpoints list, which is where every node sends packets. An address that one of them lists is
// free for nobody: its removal is published before it can appear elsewhere. What the watch shows may be older than what
// is written, so a write of ours counts from before it is sent until the watch shows a version that it cannot follow.
// What a former leader sent in its last moment is not known here: it ended before its lease did.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { type Address, isAddress, parseAddress } from '../ip/address.ts';

/** A write of an endpoint that the watch has not shown yet. */
export interface Publication {
  readonly endpoint: NodeEndpoint;
  /** The resourceVersion that it replaces, '' for a create: of two writes on one version the API server takes one. */
  readonly base: string;
  readonly addresses: readonly Address[];
  /** Without an answer it may have taken effect, or still may. */
  isAnswered: boolean;
}

interface Listing {
  /** The resourceVersion that the watch shows, '' for none. */
  readonly version: string;
  readonly shown: readonly Address[];
  /** In the order of sending. */
  readonly publications: readonly Publication[];
}

const nothing: Listing = { version: '', shown: [], publications: [] };

export class Published {
  readonly #listings = new Map<string, Listing>();
  /** The names of the nodes whose endpoints list the address, nearly always one. */
  readonly #nodes = new Map<Address, readonly string[]>();

  isListed(address: Address): boolean {
    return this.#nodes.has(address);
  }

  addresses(): Iterable<Address> {
    return this.#nodes.keys();
  }

  /** Whether the endpoint of a node other than this one lists the address. */
  isListedElsewhere(address: Address, nodeName: string): boolean {
    return this.#nodes.get(address)?.some((each) => each !== nodeName) ?? false;
  }

  /** The watch shows a node's endpoint, or that there is none. Answers with the addresses that nobody lists any more. */
  show(nodeName: string, endpoint: NodeEndpoint | undefined): Address[] {
    const version = endpoint?.metadata.resourceVersion ?? '';
    const shown = endpoint === undefined ? [] : addressesOf(endpoint);
    // What was to replace an older version than the one shown is in what is shown, or can never take effect.
    const publications = this.#of(nodeName).publications.filter(({ base }) => base === version);
    return this.#set(nodeName, { version, shown, publications });
  }

  /** A write of ours is about to be sent. It counts as listed until `show` or `fail`. */
  begin(endpoint: NodeEndpoint, base: string): Publication {
    const { name } = endpoint.metadata;
    const listing = this.#of(name);
    const publication = { endpoint, base, addresses: addressesOf(endpoint), isAnswered: false };
    const publications = [...lastOfEach(listing.publications), publication];
    this.#set(name, { ...listing, publications });
    return publication;
  }

  /** It took no effect and never will. Answers as `show` does. */
  fail(publication: Publication): Address[] {
    const { name } = publication.endpoint.metadata;
    const listing = this.#of(name);
    const publications = listing.publications.filter((each) => each !== publication);
    return this.#set(name, { ...listing, publications });
  }

  /** The last write of this endpoint without an answer. It is sent again, so that no address is kept for ever by one. */
  unanswered(nodeName: string): Publication | undefined {
    return this.#of(nodeName).publications.findLast((each) => !each.isAnswered);
  }

  #of(nodeName: string): Listing {
    return this.#listings.get(nodeName) ?? nothing;
  }

  #set(nodeName: string, listing: Listing): Address[] {
    const before = listedIn(this.#of(nodeName));
    const now = listedIn(listing);
    if (listing.version === '' && listing.publications.length === 0) this.#listings.delete(nodeName);
    else this.#listings.set(nodeName, listing);
    for (const address of now) {
      if (!before.has(address)) this.#nodes.set(address, [...(this.#nodes.get(address) ?? []), nodeName]);
    }
    return [...before].filter((address) => !now.has(address) && this.#unlist(address, nodeName) === 'unlisted');
  }

  #unlist(address: Address, nodeName: string): 'unlisted' | 'listedElsewhere' {
    const others = (this.#nodes.get(address) ?? []).filter((each) => each !== nodeName);
    if (others.length === 0) {
      this.#nodes.delete(address);
      return 'unlisted';
    }
    this.#nodes.set(address, others);
    return 'listedElsewhere';
  }
}

/** Of tries of the same without an answer the last stands for all: an API server that is away is asked again and again. */
function lastOfEach(publications: readonly Publication[]): Publication[] {
  const textOf = ({ base, addresses }: Publication): string => `${base} ${addresses.join()}`;
  const last = new Map(publications.filter((each) => !each.isAnswered).map((each) => [textOf(each), each]));
  return publications.filter((each) => each.isAnswered || last.get(textOf(each)) === each);
}

/** What the watch shows, and what may be there though it does not. */
function listedIn({ shown, publications }: Listing): ReadonlySet<Address> {
  return new Set([...shown, ...publications.flatMap((each) => each.addresses)]);
}

/** All that an endpoint lists, where its texts are addresses. */
export function addressesOf({ spec }: NodeEndpoint): Address[] {
  const { overlayAddress, podAddresses = [] } = spec;
  const texts = overlayAddress === undefined ? podAddresses : [overlayAddress, ...podAddresses];
  return texts.filter(isAddress).map(parseAddress);
}
