/// A number by which replicas compare their states: equal states have equal ones, on every machine
/// and in every run. Not proof against somebody who wants a collision.
struct StateDigest {
  private(set) var value: UInt64 = 0x9e37_79b9_7f4a_7c15

  mutating func mix(_ number: UInt64) {
    value = (value ^ number) &* 0xff51_afd7_ed55_8ccd
    value ^= value >> 32
  }

  mutating func mix(_ bytes: Bytes) {
    mix(UInt64(bytes.count))
    var word: UInt64 = 0
    for (index, byte) in bytes.enumerated() {
      word = word << 8 | UInt64(byte)
      if index & 7 == 7 { mix(word) }
    }
    mix(word)
  }

  mutating func mix(_ pair: KeyValue) {
    mix(pair.key)
    mix(pair.value)
    mix(pair.createRevision)
    mix(pair.modRevision)
    mix(pair.version)
    mix(pair.lease ?? 0)
  }

  mutating func mix(_ response: Response) {
    switch response {
    case .transaction(let succeeded, let results, let revision):
      mix(succeeded ? 1 : 2)
      mix(revision)
      for result in results { mix(result) }
    case .session(let id):
      mix(3)
      mix(id)
    case .lease(let id):
      mix(4)
      mix(id)
    case .done(let revision):
      mix(5)
      mix(revision)
    case .failed(let error):
      mix(6)
      mix(Array(error.description.utf8))
    }
  }

  private mutating func mix(_ result: OperationResult) {
    switch result {
    case .put(let previous):
      mix(7)
      if let previous { mix(previous) }
    case .deleted(let pairs):
      mix(8)
      for pair in pairs { mix(pair) }
    case .range(let pairs, let more):
      mix(more ? 9 : 10)
      for pair in pairs { mix(pair) }
    }
  }
}
