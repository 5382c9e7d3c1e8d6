import Testing
import TextTables

@testable import Controller
@testable import ControllerCore

@Suite("Tables for people")
struct ControlTablesTests {
  private func key(
    _ name: String, rate: Double, replicas: [UInt8], version: UInt64 = 1 << 48 | 42
  ) -> ControlKey {
    ControlKey(
      KeyState(
        keyHash: 1, key: Array(name.utf8), mode: .hot, entry: 0, home: replicas.first ?? 0,
        replicas: replicas, version: version, degree: replicas.count, copies: 3, rate: rate,
        readShare: 0.951, share: rate / 1_000_000))
  }

  @Test("Hot keys")
  func keys() {
    let text = ControlTables.keys([
      key("user:1", rate: 212_345, replicas: [0, 1, 2, 3, 4, 5, 6, 7]),
      key("a\tb", rate: 1999.6, replicas: [5]), key("cold", rate: 0, replicas: [], version: 0),
    ])
    #expect(
      text == """
        KEY     RATE/S  SHARE  READS  MODE  HOME  REPLICAS  VERSION  COPIES
        user:1    212k    21%    95%  hot      0  0-7          1:42       3
        a\\x09b    2000   0.2%    95%  hot      5  5            1:42       3
        cold         0     0%    95%  hot      0  -               -       3
        """)
    #expect(ControlTables.keys([]) == "no hot keys")
  }

  @Test("No table is wider than 100 columns")
  func width() {
    let replicas: [UInt8] = (0..<32).filter { $0 % 2 == 0 }
    let text = ControlTables.keys([
      key(
        String(repeating: "k", count: 250), rate: 99_999, replicas: replicas,
        version: 65_535 << 48 | 281_474_976_710_655)
    ])
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
    #expect(text.contains("kkkkkkk…"))
    #expect(text.contains("…(16)"))
    let server = ControlServer(
      number: 31, address: "255.255.255.255:65535", phase: .admitting,
      incarnation: "ffffffffffffffff", load: 65_535, assumedLoad: 1, slots: 16_384,
      slotsGoal: 16_384, weight: 1, probeUs: 1, keys: 999_999_999_999, readRate: 99_999,
      writeRate: 99_999, copyRate: 99_999,
      replyRate: 99_999, reads: 1, writes: 1, copies: 1, replies: 1, refused: 1)
    #expect(
      ControlTables.servers([server]).split(separator: "\n").allSatisfy { $0.count <= 100 })
  }

  @Test("Servers")
  func servers() {
    func server(_ number: UInt8, _ phase: ServerState.Phase) -> ControlServer {
      ControlServer(
        number: number, address: "10.0.0.\(number):18516", phase: phase,
        incarnation: phase == .unknown ? "0000000000000000" : "0123456789abcdef", load: 3,
        assumedLoad: 2, slots: 8192, slotsGoal: 8192, weight: 1, probeUs: 200, keys: 1000,
        readRate: 8123.4, writeRate: 12, copyRate: 3,
        replyRate: 8135.4, reads: 1, writes: 2, copies: 3, replies: 4, refused: 5)
    }
    #expect(
      ControlTables.servers([server(0, .alive), server(11, .unknown)]) == """
        NO  ADDRESS          STATE    INCARNATION  LOAD  SLOTS  KEYS  READS/S  WRITES/S  REPLIES/S  COPIES/S
         0  10.0.0.0:18516   alive    01234567        3   8192  1000     8123        12       8135         3
        11  10.0.0.11:18516  unknown  -               3   8192  1000     8123        12       8135         3
        """)
  }

  @Test("The rack as a whole, drops by reason")
  func status() {
    var totals = ControllerTotals()
    totals.promotions = 12
    totals.givenUp = 1
    let status = ControlStatus(
      rack: "demo", address: "10.0.0.1:18516", process: 77, uptimeSeconds: 3723.9, epoch: 4,
      generation: 99, serving: true, automatic: true, quiet: true, rate: 123_456,
      sampleInterval: 4, hotKeys: 8, inTransition: 0, movingSlots: false,
      slotMove: nil, slotsToMove: 0, slotsFrozenMaxUs: 412, serversAlive: 7,
      servers: 8, interfaces: ["s1": "native", "s0": "native", "c0": "generic"], totals: totals,
      counters: ["hot_read": 10, "pass": 0, "drop_malformed": 2, "drop_bypass": 1],
      packetsByProcessor: [9, 4])
    #expect(
      ControlTables.status(status) == """
        rack         demo at 10.0.0.1:18516
        controller   process 77, up 62 min 3 s
        epoch        4, generation 99
        serving      yes
        servers      7 of 8 alive
        interfaces   s0 s1 native, c0 generic
        requests     123k/s, one of 4 sampled
        hot keys     8, chosen automatically
        under way    nothing
        transitions  12 promotions, 0 demotions, 0 retargets, 1 given up
        slots moved  0 in 0 moves, writes waited for at most 412 us; 0 given up
        lost         0 servers, 0 keys; 0 key hashes banned
        hot_read     10
        dropped      3
          bypass     1
          malformed  2
        """)
  }

  @Test(
    "Counts take at most six places",
    arguments: [
      (0, "0"), (0.4, "0"), (99_999, "99999"), (99_999.6, "100k"), (999_499, "999k"),
      (999_500, "1.0M"), (123_456_789, "123.5M"), (2e9, "2.0G"),
    ] as [(Double, String)])
  func counts(value: Double, text: String) {
    #expect(Numbers.short(value) == text)
  }

  @Test(
    "Runs of numbers are drawn together",
    arguments: [
      ([], "-"), ([3], "3"), ([3, 4], "3,4"), ([0, 1, 2, 7], "0-2,7"), ([29, 30, 31], "29-31"),
    ] as [([UInt8], String)])
  func numbers(numbers: [UInt8], text: String) {
    #expect(ControlTables.numbers(numbers) == text)
  }
}
