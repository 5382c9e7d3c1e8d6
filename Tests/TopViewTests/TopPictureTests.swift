import Controller
import ControllerCore
import Foundation
import Testing

@testable import TopView

@Suite struct TopPictureTests {
  /// As a controller answers; `servers` of them, the first ones with more to do.
  private func snapshot(
    servers: Int = 3, keys: Int = 2, events: Int = 2, drops: Int = 7
  ) throws -> TopSnapshot {
    func ask(_ text: String) throws -> ControlAnswer {
      try #require(ControlAnswer(line: text.utf8), "\(text)")
    }
    var totals = ControllerTotals()
    (totals.promotions, totals.demotions) = (12, 3)
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    let status = try ask(
      """
      {"ok":true,"status":{"rack":"demo","address":"10.18.0.1:18516","process":7,"uptime_seconds":61,
      "epoch":3,"generation":844424930131970,"serving":true,"automatic":true,"quiet":true,"rate":12345.6,
      "sample_interval":1,"hot_keys":\(keys),"in_transition":0,"interfaces":{"eth0":"native"},"moving_slots":false,"slots_to_move":0,"slots_frozen_max_us":0,
      "servers_alive":\(servers),"servers":\(servers),"totals":\(String(decoding: try encoder.encode(totals), as: UTF8.self)),"counters":{"drop_stale":\(drops),"requests":5},
      "packets_by_processor":[5]}}
      """)
    let serverList = (0..<servers).map { number in
      """
      {"number":\(number),"address":"10.18.1.\(number + 1):18516","phase":"alive",
      "incarnation":"0123456789abcdef","load":\(number),"assumed_load":0,"slots":100,"slots_goal":100,"weight":1,"probe_us":50,"keys":10,
      "read_rate":\(4_000 - 100 * number),"write_rate":50,"copy_rate":20,"reply_rate":4000,"reads":1,
      "writes":1,"copies":1,"replies":1,"refused":0,"storage":"memory"}
      """
    }
    let keyList = (0..<keys).map { number in
      """
      {"key":"user:\(number)","key_hex":"75","key_hash":"0000000000000001","mode":"hot","home":\(number % 3),
      "replicas":[0,1,2],"version":\(1 << 48 | (100 + number)),"degree":3,"copies":2,
      "rate":\(2_000 / (number + 1)),"read_share":0.95,"share":\(0.16 / Double(number + 1))}
      """
    }
    let eventList = (1...max(1, events)).map { number in
      """
      {"number":\(number),"time":\(1_700_000_000_000 + number * 1_000),"text":"server \(number) was lost"}
      """
    }
    return TopSnapshot(
      status: try #require(status.status),
      servers: try ask("{\"ok\":true,\"servers\":[\(serverList.joined(separator: ","))]}").servers
        ?? [],
      keys: try ask("{\"ok\":true,\"keys\":[\(keyList.joined(separator: ","))]}").keys ?? [],
      events: try ask("{\"ok\":true,\"events\":[\(eventList.joined(separator: ","))]}").events ?? []
    )
  }

  private func press(_ key: UInt8, _ choices: inout TopChoices, goesOn: Bool = true) {
    let answer = choices.press(key)
    #expect(answer == goesOn)
  }

  @Test func aSmallRackOn80By24() throws {
    let lines = TopPicture.lines(
      try snapshot(drops: 27), before: try snapshot(drops: 7), seconds: 2, TopChoices(), width: 80,
      height: 24)
    #expect(
      lines == [
        "hotrack top   demo at 10.18.0.1:18516   serving   epoch 3",
        "requests 12346/s   dropped 10/s   hot keys 2 (+0 -0)   quiet   servers 3/3",
        "",
        "NO  STATE  LOAD  READS/S  WRITES/S  COPIES/S  SHARE",
        " 0  alive     0     4000        50        20    34%  ████████████████████",
        " 1  alive     1     3900        50        20    33%  ████████████████████",
        " 2  alive     2     3800        50        20    32%  ███████████████████",
        "",
        "KEY     RATE/S  SHARE  READS  MODE  HOME  REPLICAS  VERSION  COPIES",
        "user:0    2000    16%    95%  hot      0  0-2         1:100       2",
        "user:1    1000   8.0%    95%  hot      1  0-2         1:101       2",
        "",
        "22:13:21  server 1 was lost",
        "22:13:22  server 2 was lost",
      ])
  }

  @Test(arguments: [(80, 24), (140, 40), (40, 10), (10, 3)])
  func aFullRackKeepsWithinTheTerminal(_ width: Int, _ height: Int) throws {
    let full = try snapshot(servers: 32, keys: 500, events: 50)
    for change in ["", "k", "kk", "kkk", "s", "p", "?"] {
      var choices = TopChoices()
      for key in change.utf8 { press(key, &choices) }
      let lines = TopPicture.lines(
        full, before: nil, seconds: 0, choices, width: width, height: height)
      #expect(lines.count <= height)
      #expect(lines.allSatisfy { $0.count <= width }, "\(lines)")
      guard width >= 80, change == "" else { continue }
      #expect(lines.contains { $0.contains("more servers") })
      #expect(lines.contains { $0.hasPrefix("user:0 ") })
      #expect(lines.last?.contains("server 50 was lost") == true)
    }
  }

  @Test func keysChangeWhatIsShown() throws {
    var choices = TopChoices()
    for (key, order) in zip("kkkk".utf8, [TopChoices.KeyOrder.writes, .replicas, .name, .rate]) {
      press(key, &choices)
      #expect(choices.keyOrder == order)
    }
    press(UInt8(ascii: "p"), &choices)
    #expect(choices.isPaused)
    press(UInt8(ascii: "x"), &choices)
    press(UInt8(ascii: "q"), &choices, goesOn: false)
    let lines = TopPicture.lines(
      try snapshot(keys: 0), before: nil, seconds: 0, choices, width: 80, height: 24)
    #expect(lines[0].hasSuffix("PAUSED") && lines.contains("no hot keys"))
    #expect(lines[1].contains("dropped -"))
  }

  /// Colours add nothing that takes a column.
  @Test func coloursChangeNoText() throws {
    for rack in [try snapshot(), try snapshot(servers: 32, keys: 500, events: 50)] {
      let lines = TopPicture.lines(
        rack, before: nil, seconds: 0, TopChoices(), width: 80, height: 24)
      for (row, line) in lines.enumerated() {
        let dressed = TopColours.dressed(line, row: row)
        #expect(dressed.replacing(/\u{1b}\[[0-9]+m/, with: "") == line)
        #expect(dressed == line || dressed.hasSuffix("\u{1b}[0m") || row > 3, "\(dressed)")
      }
    }
    #expect(
      TopColours.dressed(" 1  lost      0  ██", row: 5)
        == " 1  \u{1b}[31mlost\u{1b}[0m      0  \u{1b}[33m██\u{1b}[0m")
    #expect(TopColours.dressed("lost  lost  1", row: 5) == "lost  lost  1")
  }
}
