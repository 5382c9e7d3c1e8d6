import Testing

@testable import Demo
@testable import LoadGenerator

@Suite struct DemoTextTests {
  static let plain = DemoFrame(
    plan: DemoPlan(), policy: .plainHashing, phase: "measuring", elapsed: 7.4, duration: 16,
    completedPerSecond: 7012, unansweredPerSecond: 1388, p99: nil,
    servers: [3012, 800, 750, 1500, 0, 900, 700, 738].enumerated().map {
      DemoFrame.Server(number: $0.offset, asked: $0.element)
    }, hotKeys: 0, keys: [])

  static let directory = DemoFrame(
    plan: DemoPlan(), policy: .directory, phase: "measuring", elapsed: 16.5, duration: 16,
    completedPerSecond: 8400, unansweredPerSecond: 0, p99: 4_250_000,
    servers: (0..<8).map { DemoFrame.Server(number: $0, asked: 1100 + Double($0)) }, hotKeys: 41,
    keys: (0..<7).map {
      DemoFrame.Key(
        key: "k0000000\($0)", rate: 1500 / Double($0 + 1), share: 0.18 / Double($0 + 1),
        replicas: [0, 1, 2, $0 + 4])
    })

  @Test func plainHashingIsDrawnWithItsOverloadedServer() {
    #expect(
      DemoText.screen(Self.plain, color: false).joined(separator: "\n") == """
        hotrack demo: a rack of 8 servers, emulated: each 1,500 ops/s
        the load: 9,600 ops/s arrive (80 % of all servers' speed), 95 % reads,
          1,000,000 keys, Zipf 1.2
        1 of 2  PLAIN HASHING   measuring 7/16 s
        completed  7,012 ops/s   without answer 1,388 /s   p99 no answer
        server  asked  0                100 %             200 %
             0  3,012  ████████████████████▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓  OVERLOADED
             1    800  ███████████         |
             2    750  ██████████          |
             3  1,500  ████████████████████
             4      0                      |
             5    900  ████████████        |
             6    700  █████████           |
             7    738  ██████████          |

        no hot keys: every key is served by its home server alone
        """)
  }

  @Test func theDirectoryIsDrawnWithTheHottestKeys() {
    #expect(
      DemoText.screen(Self.directory, color: false).joined(separator: "\n") == """
        hotrack demo: a rack of 8 servers, emulated: each 1,500 ops/s
        the load: 9,600 ops/s arrive (80 % of all servers' speed), 95 % reads,
          1,000,000 keys, Zipf 1.2
        2 of 2  THE DIRECTORY   measuring 16/16 s
        completed  8,400 ops/s   without answer     0 /s   p99 4.25 ms
        server  asked  0                100 %             200 %
             0  1,100  ███████████████     |
             1  1,101  ███████████████     |
             2  1,102  ███████████████     |
             3  1,103  ███████████████     |
             4  1,104  ███████████████     |
             5  1,105  ███████████████     |
             6  1,106  ███████████████     |
             7  1,107  ███████████████     |

        hot keys: 41, the hottest:
        key               ops/s   share  servers with the newest version
        k00000000         1,500    18 %  0-2,4
        k00000001           750     9 %  0-2,5
        k00000002           500     6 %  0-2,6
        k00000003           375     4 %  0-2,7
        k00000004           300     4 %  0-2,8
        """)
  }

  @Test func aPipeGetsThreeLines() {
    #expect(
      (DemoText.block(Self.plain) + DemoText.block(Self.directory)).joined(separator: "\n") == """
        plain hashing, measuring 7/16 s: 7,012 ops/s, 1,388/s without answer, p99 no answer
          load  0:201 %!  1:53 %  2:50 %  3:100 %  4:0 %  5:60 %  6:47 %  7:49 %
          hot   0
        the directory, measuring 16/16 s: 8,400 ops/s, 0/s without answer, p99 4.25 ms
          load  0:73 %  1:73 %  2:73 %  3:74 %  4:74 %  5:74 %  6:74 %  7:74 %
          hot   41: k00000000 at 0-2,4, k00000001 at 0-2,5, k00000002 at 0-2,6, ...
        """)
  }

  @Test(arguments: [2, 8, 32])
  func aScreenFitsATerminalWhateverIsShown(servers: Int) {
    var frame = Self.directory
    frame.servers = (0..<servers).map { DemoFrame.Server(number: $0, asked: 1e7) }
    frame.plan.servers = servers
    frame.plan.capacity = 1_000_000
    frame.plan.keys = 100_000_000
    frame.plan.rate = 10_000_000
    (frame.completedPerSecond, frame.unansweredPerSecond) = (1e7, 1e7)
    frame.hotKeys = 65_536
    frame.keys = frame.keys.map {
      var key = $0
      key.key = String(repeating: "k", count: 200)
      key.replicas = Array(stride(from: 0, to: 32, by: 2))
      return key
    }
    let lines = DemoText.screen(frame, color: false)
    #expect(lines.count <= DemoText.height)
    for line in lines { #expect(line.count <= DemoText.width, "\(line)") }
  }

  @Test func coloursAddNothingButTheirEscapes() {
    let colored = DemoText.screen(Self.plain, color: true).joined(separator: "\n")
    #expect(colored.contains("\u{1b}[1;31mOVERLOADED\u{1b}[0m"))
    let stripped = colored.replacing(/\u{1b}\[[0-9;]*m/, with: "")
    #expect(stripped == DemoText.screen(Self.plain, color: false).joined(separator: "\n"))
  }
}

@Suite struct DemoPlanTests {
  /// Uniform popularity is spread as evenly as hashing spreads slots and keys.
  @Test func withoutSkewPlainHashingIsNearlyEven() {
    var plan = DemoPlan()
    plan.alpha = 0
    #expect(plan.plainBound > 0.97 * plan.summedCapacity)
    #expect(plan.plainBound <= plan.summedCapacity)
  }

  @Test func theLoadIsMoreThanPlainHashingCarries() {
    let plan = DemoPlan()
    #expect(plan.plainBound < 0.9 * plan.offered)
    #expect(plan.offered < plan.summedCapacity)
  }
}

@Suite struct DemoResultTests {
  /// 12 s at 8,400 operations per second.
  private static func phase(
    busy: UInt64, late: UInt64, p99: Double?, asked: [Double], hotKeys: Int
  ) -> DemoPhase {
    let offered: UInt64 = 100_800
    let load = LoadReport(
      duration: 12, offeredPerSecond: 8_400, completedPerSecond: Double(offered - busy) / 12,
      offered: offered, completed: offered - busy, busy: busy, timedOut: 0, failed: 0, notSent: 0,
      attemptsAgain: 0, limitMicroseconds: 50_000, beyondLimit: busy + late,
      beyondLimitShare: Double(busy + late) / Double(offered), p50Microseconds: 2_000,
      p99Microseconds: p99, p999Microseconds: nil, largestMicroseconds: 9e5, servers: [],
      sendLagP99Microseconds: 100, serverLatenessP99Microseconds: 200, isValid: true)
    return DemoPhase(load: load, askedPerSecond: asked, hotKeys: hotKeys)
  }

  private static let plain = phase(
    busy: 10_080, late: 20_160, p99: nil, asked: [2_800, 800, 800, 800, 800, 800, 800, 800],
    hotKeys: 0)
  private static let spread = phase(
    busy: 0, late: 0, p99: 6_000, asked: .init(repeating: 1_100, count: 8), hotKeys: 80)

  private static func result(_ plain: DemoPhase, _ directory: DemoPhase) -> DemoResult {
    DemoResult(DemoPlan(), plainHashing: plain, directory: directory)
  }

  @Test func theComparisonFitsATerminal() {
    let text = Self.result(Self.plain, Self.spread).text
    for line in text.split(separator: "\n") { #expect(line.count <= DemoText.width, "\(line)") }
  }

  @Test(arguments: [
    "completed, ops/s                                7,560          8,400    1.11",
    "latency, p99                                no answer        6.00 ms",
    "not within 50 ms                               30.0 %          0.0 %",
    "  busy (refused by a full queue)               10.0 %          0.0 %",
    "  late                                         20.0 %          0.0 %",
    "busiest server / mean                            2.67           1.00    0.38",
  ])
  func theComparisonHasTheLine(line: String) {
    let text = Self.result(Self.plain, Self.spread).text
    #expect(text.split(separator: "\n").contains { $0 == line }, "\(text)")
  }

  @Test func aDirectoryThatIsWorseIsSaidToBeWorse() {
    #expect(Self.result(Self.plain, Self.spread).isNotWorse)
    #expect(Self.result(Self.spread, Self.spread).isNotWorse)
    #expect(!Self.result(Self.spread, Self.plain).isNotWorse)
    let late = Self.phase(
      busy: 0, late: 5_000, p99: 6e4, asked: Self.spread.askedPerSecond, hotKeys: 80)
    #expect(!Self.result(Self.spread, late).isNotWorse)
  }
}
