internal import LoadGenerator

/// How long a rack was uneven after each change of popularity, from which server answered which
/// request.
///
/// Requests are taken in the order in which the client sent them (of several attempts, the one that
/// was answered). A window is any 1,000 consecutive ones, and uneven if some server has got more
/// than 1.5 times its fair share of it; a request that nobody has answered counts as got by each
/// server. The reaction to a change lasts from its first request to the last request of the last
/// uneven window that ends before the next change: not until the rack is even for the first time,
/// but until it stays so. Windows that begin before the change and end after it count too. 0: there
/// was no uneven window.
struct ReactionAnalysis {
  struct Change: Equatable {
    /// Nanoseconds of the monotonic clock: of the first request, and of the end, which is the next
    /// change or the last request.
    var begin: UInt64
    var end: UInt64
    /// Nanoseconds.
    var reaction: UInt64 = 0
    /// The most that a server got of a window, relative to its fair share.
    var largestShare = 0.0
    /// Still uneven in the last window.
    var isOpen = false
    /// From the last request of the first to that of the last of uneven windows in a row.
    var spans: [Span] = []
  }

  struct Span: Equatable {
    /// Nanoseconds after the change.
    var begin: UInt64
    var end: UInt64
    /// The server that got most; nil: requests without an answer made it so.
    var server: UInt8?
    var share: Double
  }

  static let window = 1_000
  static let shareMax = 1.5

  private(set) var changes: [Change] = []
  /// In the order of sending.
  let requests: [LoadRecord.Request]

  /// `begins`: of the changes, ascending.
  init(
    requests: [LoadRecord.Request], begins: [UInt64], servers: Int, window: Int = Self.window
  ) {
    self.requests = requests.sorted { $0.sent < $1.sent }
    let fair = Double(window) / Double(servers)
    var counts = [Int](repeating: 0, count: servers)
    var unanswered = 0
    func count(_ request: LoadRecord.Request, _ change: Int) {
      if Int(request.server) < servers {
        counts[Int(request.server)] += change
      } else {
        unanswered += change
      }
    }
    changes = begins.enumerated().map { index, begin in
      Change(
        begin: begin,
        end: index + 1 < begins.count
          ? begins[index + 1] : max(begin, self.requests.last?.sent ?? 0))
    }
    // Until a window has shown that it is even.
    for index in changes.indices {
      changes[index].isOpen = true
      changes[index].reaction = changes[index].end - changes[index].begin
    }
    var current = -1
    var isFirst = true
    for (index, request) in self.requests.enumerated() {
      count(request, 1)
      if index >= window { count(self.requests[index - window], -1) }
      while current + 1 < changes.count, request.sent >= changes[current + 1].begin {
        current += 1
        isFirst = true
      }
      guard current >= 0, index >= window - 1 else { continue }
      let share = Double((counts.max() ?? 0) + unanswered) / fair
      if isFirst {
        isFirst = false
        changes[current].isOpen = false
        changes[current].reaction = 0
      }
      let time = request.sent - changes[current].begin
      changes[current].largestShare = max(changes[current].largestShare, share)
      guard share > Self.shareMax else {
        changes[current].isOpen = false
        continue
      }
      changes[current].reaction = time
      if !changes[current].isOpen {
        changes[current].spans.append(Span(begin: time, end: time, server: nil, share: 0))
      }
      changes[current].isOpen = true
      let last = changes[current].spans.count - 1
      changes[current].spans[last].end = time
      if share > changes[current].spans[last].share {
        let most = counts.indices.max { counts[$0] < counts[$1] } ?? 0
        changes[current].spans[last].share = share
        changes[current].spans[last].server =
          Double(counts[most]) / fair > Self.shareMax ? UInt8(most) : nil
      }
    }
  }

  /// When the first request for this key after the change was sent that another server than its
  /// home has answered: its load is being spread. Nil: none.
  func spread(of key: Int, home: UInt8, in change: Change) -> UInt64? {
    let first = firstIndex(from: change.begin)
    return requests[first...].first {
      $0.sent >= change.end
        || Int($0.key) == key && $0.server != home && $0.server != LoadRecord.Request.noServer
    }.flatMap { $0.sent < change.end ? $0.sent : nil }
  }

  private func firstIndex(from time: UInt64) -> Int {
    var (low, high) = (0, requests.count)
    while low < high {
      let middle = (low + high) / 2
      if requests[middle].sent < time { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
