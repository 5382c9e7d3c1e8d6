internal import Glibc

/// The keys that are asked for most, with their estimated counts, in bounded memory.
///
/// Space-Saving (Metwally, Agrawal, El Abbadi, ICDT 2005) over counts that decay: when all places
/// are taken, a new key replaces the one with the smallest count and inherits that count as the
/// bound of its own error. Every key with more than 1/`capacity` of the decayed total is here.
///
/// Two counts are kept of each key: a slow one, which ranks and evicts, and a fast one, in which a
/// key that has just become hot shows after a few milliseconds. Counts are stored inflated by the
/// time passed, so that decaying all of them is one multiplication. Not thread-safe.
public struct HotKeys: Sendable {
  /// What is known of one key; counts are decayed, in requests.
  public struct Estimate: Sendable, Equatable {
    public var keyHash: UInt64
    public var key: [UInt8]
    /// At most the true slow count (the inherited error is taken off).
    public var slow: Double
    public var fast: Double
    /// Samples behind the slow and the fast count: few samples say little.
    public var slowSamples: Double
    public var fastSamples: Double
    /// The part of its requests that are reads, 0...1.
    public var readShare: Double
  }

  private struct Place: Sendable {
    var keyHash: UInt64
    var key: [UInt8]
    var slow: Double
    var error: Double
    var reads: Double
    var fast: Double
    var slowSamples: Double
    var fastSamples: Double
    var heapIndex: Int
  }

  public let capacity: Int
  private let slowTime: Double
  private let fastTime: Double
  private var slowInflation = 1.0
  private var fastInflation = 1.0
  private var places: [Place] = []
  /// Indices of `places`, a binary heap with the smallest slow count at the top.
  private var heap: [Int] = []
  private var placeOfHash: [UInt64: Int] = [:]

  /// `capacity`: keys watched at the same time, at least 1; time constants in seconds, the slow
  /// one may be infinite: then nothing decays.
  public init(capacity: Int, slowTime: Double, fastTime: Double) {
    precondition(capacity >= 1 && slowTime > 0 && fastTime > 0)
    self.capacity = capacity
    self.slowTime = slowTime
    self.fastTime = fastTime
  }

  /// Keys watched now.
  public var count: Int { places.count }

  /// Counts a sampled request that stands for `weight` of them, and returns the key's fast count
  /// and the samples behind it. `key` is asked for only when the key was not watched before.
  @discardableResult
  public mutating func add(
    _ keyHash: UInt64, key: @autoclosure () -> [UInt8], weight: Double, isRead: Bool
  ) -> (fast: Double, samples: Double) {
    let index = placeOfHash[keyHash] ?? take(keyHash, key())
    places[index].slow += weight * slowInflation
    places[index].fast += weight * fastInflation
    places[index].slowSamples += slowInflation
    places[index].fastSamples += fastInflation
    if isRead { places[index].reads += weight * slowInflation }
    siftDown(places[index].heapIndex)
    return (places[index].fast / fastInflation, places[index].fastSamples / fastInflation)
  }

  /// Lets time pass; 0 or more seconds.
  public mutating func advance(by seconds: Double) {
    slowInflation *= exp(seconds / slowTime)
    fastInflation *= exp(seconds / fastTime)
    if slowInflation > 1e100 || fastInflation > 1e100 { deflate() }
  }

  /// Forgets a key.
  public mutating func remove(_ keyHash: UInt64) {
    guard let index = placeOfHash.removeValue(forKey: keyHash) else { return }
    removeFromHeap(places[index].heapIndex)
    let last = places.count - 1
    if index != last {
      places[index] = places[last]
      placeOfHash[places[index].keyHash] = index
      heap[places[index].heapIndex] = index
    }
    places.removeLast()
  }

  /// What is known of a key, if it is watched.
  public func estimate(of keyHash: UInt64) -> Estimate? {
    placeOfHash[keyHash].map { estimate(at: $0) }
  }

  /// The keys with at least this slow or this fast count, those that are asked for most first (by
  /// count and time, whichever of the two says more); equal ones by hash.
  public func above(slow: Double, fast: Double) -> [Estimate] {
    var found: [Estimate] = []
    for index in places.indices {
      let place = places[index]
      guard
        place.slow - place.error >= slow * slowInflation || place.fast >= fast * fastInflation
      else { continue }
      found.append(estimate(at: index))
    }
    return found.sorted {
      let (a, b) = (rate($0), rate($1))
      return a != b ? a > b : $0.keyHash < $1.keyHash
    }
  }

  private func rate(_ key: Estimate) -> Double { max(key.slow / slowTime, key.fast / fastTime) }

  private func estimate(at index: Int) -> Estimate {
    let place = places[index]
    let counted = place.slow - place.error
    return Estimate(
      keyHash: place.keyHash, key: place.key, slow: counted / slowInflation,
      fast: place.fast / fastInflation, slowSamples: place.slowSamples / slowInflation,
      fastSamples: place.fastSamples / fastInflation,
      readShare: counted > 0 ? min(1, place.reads / counted) : 0)
  }

  /// A place for a new key: a free one, or that of the key with the smallest count.
  private mutating func take(_ keyHash: UInt64, _ key: [UInt8]) -> Int {
    var place = Place(
      keyHash: keyHash, key: key, slow: 0, error: 0, reads: 0, fast: 0, slowSamples: 0,
      fastSamples: 0, heapIndex: 0)
    if places.count < capacity {
      place.heapIndex = heap.count
      places.append(place)
      heap.append(places.count - 1)
      siftUp(heap.count - 1)
      placeOfHash[keyHash] = places.count - 1
      return places.count - 1
    }
    let index = heap[0]
    placeOfHash.removeValue(forKey: places[index].keyHash)
    place.slow = places[index].slow
    place.error = place.slow
    places[index] = place
    placeOfHash[keyHash] = index
    return index
  }

  private mutating func deflate() {
    for index in places.indices {
      places[index].slow /= slowInflation
      places[index].error /= slowInflation
      places[index].reads /= slowInflation
      places[index].slowSamples /= slowInflation
      places[index].fast /= fastInflation
      places[index].fastSamples /= fastInflation
    }
    slowInflation = 1
    fastInflation = 1
  }

  // MARK: The heap

  private mutating func removeFromHeap(_ position: Int) {
    let last = heap.count - 1
    exchange(position, last)
    heap.removeLast()
    guard position < heap.count else { return }
    siftUp(position)
    siftDown(position)
  }

  private mutating func siftUp(_ start: Int) {
    var position = start
    while position > 0 {
      let parent = (position - 1) / 2
      guard places[heap[position]].slow < places[heap[parent]].slow else { return }
      exchange(position, parent)
      position = parent
    }
  }

  private mutating func siftDown(_ start: Int) {
    var position = start
    while true {
      var smallest = position
      for child in 2 * position + 1...2 * position + 2
      where child < heap.count && places[heap[child]].slow < places[heap[smallest]].slow {
        smallest = child
      }
      guard smallest != position else { return }
      exchange(position, smallest)
      position = smallest
    }
  }

  private mutating func exchange(_ a: Int, _ b: Int) {
    heap.swapAt(a, b)
    places[heap[a]].heapIndex = a
    places[heap[b]].heapIndex = b
  }
}
