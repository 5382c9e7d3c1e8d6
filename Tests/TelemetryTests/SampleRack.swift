import Controller
import ControllerCore
import Foundation
import Testing

@testable import Telemetry

/// What a rack's controller answers: two servers, of which the second is lost, and hot keys with these
/// names.
func sampleRack(keys: [String] = ["a\"b\\x0a"]) throws -> RackReport {
  func ask(_ text: String) throws -> ControlAnswer {
    try #require(ControlAnswer(line: text.utf8), "\(text)")
  }
  func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
  var totals = ControllerTotals()
  totals.promotions = 12
  let status = try ask(
    """
    {"ok":true,"status":{"rack":"demo","address":"10.18.0.1:18516","process":7,"uptime_seconds":61.5,
    "epoch":3,"generation":844424930131970,"serving":true,"automatic":true,"quiet":true,"rate":12345.5,
    "sample_interval":1,"hot_keys":1,"in_transition":0,"interfaces":{"eth0":"native"},"moving_slots":false,"slots_to_move":0,"slots_frozen_max_us":0,"servers_alive":2,
    "servers":2,"totals":\(try json(totals)),"counters":{"drop_stale":7,"request_cold_read":5},
    "packets_by_processor":[5]}}
    """)
  let servers = (0..<2).map { number in
    """
    {"number":\(number),"address":"10.18.1.1:18516","phase":"\(number == 0 ? "alive" : "lost")",
    "incarnation":"0123456789abcdef","load":1,"assumed_load":0,"slots":100,"slots_goal":100,"weight":1,"probe_us":50,"keys":10,"read_rate":1,
    "write_rate":1,"copy_rate":1,"reply_rate":1,"reads":11,"writes":12,"copies":13,"replies":14,
    "refused":15,"storage":"memory"}
    """
  }
  let hot = try keys.map { key in
    """
    {"key":\(try json(key)),"key_hex":"75","key_hash":"0000000000000001","mode":"hot","home":0,
    "replicas":[0,1],"version":\(72 << 48 + 1),"degree":2,"copies":1,"rate":2000,
    "read_share":0.95,"share":0.1}
    """
  }
  return RackReport(
    name: "demo", status: try #require(status.status),
    servers: try ask("{\"ok\":true,\"servers\":[\(servers.joined(separator: ","))]}").servers ?? [],
    keys: try ask("{\"ok\":true,\"keys\":[\(hot.joined(separator: ","))]}").keys ?? [],
    events: try ask(
      """
      {"ok":true,"events":[{"number":1,"time":1700000000000,"text":"server 1 <b>was</b> lost"}]}
      """
    ).events ?? [])
}
