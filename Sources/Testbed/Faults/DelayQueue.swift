internal import Configuration
internal import Workload

/// Frames that wait until they are due: a heap. Pure; times in nanoseconds.
struct DelayQueue {
  struct Waiting {
    var due: UInt64
    /// In the order of arrival, for frames that are due at the same time.
    var number: UInt64
    var frame: [UInt8]

    static func < (left: Waiting, right: Waiting) -> Bool {
      (left.due, left.number) < (right.due, right.number)
    }
  }

  private var heap: [Waiting] = []
  private var arrived: UInt64 = 0
  private var random: RandomSource
  /// What finds so many waiting is lost.
  private let countMax: Int

  init(seed: UInt64, countMax: Int = 100_000) {
    random = RandomSource(seed: seed)
    self.countMax = countMax
  }

  var isEmpty: Bool { heap.isEmpty }
  var nextDue: UInt64? { heap.first?.due }

  /// Takes a frame that has come at `now`; false: there is no room.
  @discardableResult
  mutating func insert(_ frame: [UInt8], _ fault: LinkFault?, now: UInt64) -> Bool {
    guard heap.count < countMax else { return false }
    var delay = 0.0
    if let fault, !(fault.reorder > 0 && random.unit() < fault.reorder) {
      delay = fault.delay + fault.jitter * random.unit()
    }
    arrived += 1
    heap.append(Waiting(due: now + UInt64(delay * 1e6), number: arrived, frame: frame))
    var child = heap.count - 1
    while child > 0, heap[child] < heap[(child - 1) / 2] {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
    return true
  }

  /// The next frame that is due; nil: none is.
  mutating func take(now: UInt64) -> [UInt8]? {
    guard let first = heap.first, first.due <= now else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      sink()
    }
    return first.frame
  }

  private mutating func sink() {
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < heap.count && heap[child] < heap[least] { least = child }
      if least == parent { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
