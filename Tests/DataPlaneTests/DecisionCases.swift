import CHotrack
import Directory
import Wire

/// Operations and transitions: what a rack is there for.
enum DecisionCases {
  static let next = Rig.nextVersion
  static let completed = Rig.completed

  static func target(_ message: Message) -> UInt8 {
    UInt8(directory_target_index(message.header.client, message.header.sequence) % 4)
  }

  static func stamped(
    _ version: UInt64, replicated: Bool = false
  ) -> @Sendable (inout Header) -> Void {
    { header in
      header.version = version
      if replicated { header.flags.insert(.replicated) }
    }
  }

  static let requests: [PacketCase] = {
    let keys = TestKey.self
    let hotSet = keys.hot.request(.set, value: [1, 2, 3])
    let hotDelete = keys.hot.request(.delete, sequence: 9)
    let copied = keys.hotCopies.request(.set)
    let copiedTo = target(copied)
    let copyTargets = directory_copy_targets(3, UInt32(copiedTo), next, 6, 0b101111)
    return [
      .client("GET of a cold key", keys.cold.request(.get), .steer(1, stamped(0)), "cold_read"),
      .client("SET of a cold key", keys.cold.request(.set), .steer(1, stamped(next)), "cold_write"),
      .client(
        "DELETE of a cold key", keys.cold.request(.delete), .steer(1, stamped(next)), "cold_write"),
      .client(
        "GET of a cold key whose home is dead", keys.coldHomeDead.request(.get), .answer(.busy),
        "busy_server_dead"),
      .client(
        "SET of a cold key whose home is dead", keys.coldHomeDead.request(.set), .answer(.busy),
        "busy_server_dead"),
      .client(
        "GET in a moving slot", keys.moving.request(.get), .steer(1, stamped(0)), "cold_read"),
      .client(
        "SET in a moving slot", keys.moving.request(.set), .answer(.frozen), "frozen_slot"),
      .client(
        "DELETE in a moving slot", keys.moving.request(.delete), .answer(.frozen), "frozen_slot"),
      .client(
        "GET of a key being added", keys.adding.request(.get), .steer(0, stamped(0)), "cold_read"),
      .client(
        "SET of a key being added", keys.adding.request(.set), .answer(.frozen), "frozen_entry"),
      .client(
        "DELETE of a key being added", keys.adding.request(.delete), .answer(.frozen),
        "frozen_entry"),
      .client(
        "GET of a hot key", keys.hot.request(.get),
        .steer(2, stamped(completed, replicated: true)), "hot_read"),
      .client(
        "SET of a hot key", hotSet, .steer(target(hotSet), stamped(next, replicated: true)),
        "hot_write"),
      .client(
        "DELETE of a hot key", hotDelete,
        .steer(target(hotDelete), stamped(next, replicated: true)), "hot_write"),
      .client(
        "SET of a hot key that is to be copied", copied,
        .steer(
          copiedTo,
          { header in
            stamped(next, replicated: true)(&header)
            header.copyTargets = copyTargets
          }), "hot_write"),
      .client(
        "SET of a hot key in a moving slot", keys.hotMoving.request(.set),
        .steer(target(keys.hotMoving.request(.set)), stamped(next, replicated: true)), "hot_write"),
      .client(
        "GET of a hot key with an empty replica set", keys.hotEmpty.request(.get), .answer(.busy),
        "busy_no_replica"),
      .client(
        "GET of a hot key whose only replica is dead", keys.hotOnlyDead.request(.get),
        .answer(.busy), "busy_no_replica"),
      .client(
        "SET of a hot key whose write target is dead", keys.hotTargetsDead.request(.set),
        .answer(.busy), "busy_server_dead"),
      .client(
        "GET of a key being removed", keys.removing.request(.get),
        .steer(3, stamped(completed, replicated: true)), "hot_read"),
      .client(
        "SET of a key being removed", keys.removing.request(.set), .answer(.frozen), "frozen_entry"),
      .client("HELLO", hello, .answer(.ok), "hello"),
      .client(
        "CAS, not built yet", keys.cold.request(.cas), .answer(.unsupported), "unsupported"),
      .client(
        "INCR, not built yet", keys.cold.request(.incr), .answer(.unsupported), "unsupported"),
      .client(
        "APPEND, not built yet", keys.cold.request(.append), .answer(.unsupported), "unsupported"),
      .client(
        "TOUCH, not built yet", keys.cold.request(.touch), .answer(.unsupported), "unsupported"),
      .client(
        "GET in parts, not built yet", keys.cold.request(.get) { $0.parts = 2 },
        .answer(.unsupported), "unsupported"),
      .client(
        "retry of a SET of a hot key", keys.hot.request(.set, value: [1]) { $0.flags = .retry },
        .steer(target(hotSet), stamped(next, replicated: true)), "hot_write"),
      .client(
        "forwarded SET of a cold key, from the neighbour",
        keys.cold.request(.set) {
          $0.flags = .forwarded
          $0.version = 77
        }, .steer(1, stamped(77)), "forwarded_write"
      ) { fromNeighbour(&$0) },
      .client(
        "forwarded SET of a hot key, from the neighbour",
        keys.hot.request(.set) {
          $0.flags = .forwarded
          $0.version = completed + 3
        }, .steer(target(hotSet), stamped(completed + 3, replicated: true)), "forwarded_write"
      ) { fromNeighbour(&$0) },
      .client(
        "forwarded DELETE of a key being added, from the neighbour",
        keys.adding.request(.delete) {
          $0.flags = .forwarded
          $0.version = 77
        }, .answer(.frozen), "frozen_entry"
      ) {
        fromNeighbour(&$0)
        $0.message?.header.version = 77
      },
      .client(
        "GET to a server behind the client's own port",
        TestKey(home: 5, number: 12).request(.get), .steer(5, stamped(0)), "cold_read"),
      .client(
        "GET while the directory does not serve", keys.hot.request(.get), .answer(.busy),
        "busy_not_serving"
      ) { $0.changes = [.setServing(false)] },
      .client(
        "SET while the directory does not serve", keys.cold.request(.set), .answer(.busy),
        "busy_not_serving"
      ) { $0.changes = [.setServing(false)] },
      .client("HELLO with a time to live of one", hello, .answer(.ok), "hello") {
        $0.frame.hops = 1
      },
      .client("GET whose time to live runs out", keys.hot.request(.get), .drop, "drop_hops") {
        $0.frame.hops = 1
      },
      .client(
        "GET to a server whose interface is not attached", keys.cold.request(.get), .drop,
        "drop_no_return_path"
      ) {
        $0.changes = [
          .setServer(
            1,
            ServerPlace(
              incarnation: 1_001, interface: 999, port: Place.serverPort(1),
              mac: Place.serverMAC(1), address: Place.mapped(Place.server(1))))
        ]
      },
    ]
  }()

  static let hello: Message = {
    var header = Header(.hello)
    header.client = 99
    return Message(header)
  }()

  static func fromNeighbour(_ packet: inout PacketCase) {
    packet.port = "c1"
    packet.frame.source = Place.neighbour
    packet.frame.sourcePort = WireLimits.port
    packet.frame.destinationMAC = Rig.portMAC("c1")
    packet.frame.sourceMAC = [2, 0, 0, 0, 7, 1]
  }

  static let reports: [PacketCase] = {
    let hot = TestKey.hot
    func move(_ key: TestKey, _ version: UInt64, _ set: UInt32)
      -> @Sendable (inout PacketCase)
      -> Void
    {
      { $0.move = .init(key: key, completed: version, replicaSet: set) }
    }
    var cases: [PacketCase] = [
      .server(
        1, "reply to a SET, newer than the completed version",
        hot.from(1, .set, version: completed + 1),
        .forward, "write_reply", move(hot, completed + 1, 0b10)),
      .server(
        1, "reply to a DELETE, newer", hot.from(1, .delete, version: completed + 7), .forward,
        "write_reply", move(hot, completed + 7, 0b10)),
      .server(
        1, "reply to a GET, newer: the first to show a version",
        hot.from(1, .get, version: completed + 2, value: [1, 2]), .forward, "read_reply",
        move(hot, completed + 2, 0b10)),
      .server(
        3, "reply to a GET, not found, newer", hot.from(3, .get, .notFound, version: completed + 2),
        .forward, "read_reply", move(hot, completed + 2, 0b1000)),
      .server(
        1, "reply of the completed version: one more replica",
        hot.from(1, .get, version: completed), .forward, "read_reply", move(hot, completed, 0b110)),
      .server(
        2, "reply of the completed version from a member", hot.from(2, .get, version: completed),
        .forward, "read_reply"),
      .server(
        1, "reply older than the completed version", hot.from(1, .set, version: completed - 1),
        .forward, "write_reply"),
      .server(
        1, "reply flagged not-holder, newer than the completed version",
        hot.from(1, .set, version: completed + 1) {
          $0.flags.insert(.notHolder)
        }, .drop, "drop_not_holder"),
      .server(
        1, "the same while the key is being removed",
        TestKey.removing.from(1, .set, version: completed + 1) {
          $0.flags.insert(.notHolder)
        }, .drop, "drop_not_holder"),
      .server(
        1, "reply flagged not-holder, of the completed version",
        hot.from(1, .set, version: completed) {
          $0.flags.insert(.notHolder)
        }, .forward, "write_reply"),
      .server(
        1, "reply from before the promotion",
        hot.from(1, .set, version: completed + 1) {
          $0.generation = Rig.since - 1
        }, .forward, "write_reply"),
      .server(
        1, "reply of exactly the promotion's generation",
        hot.from(1, .set, version: completed + 1) { $0.generation = Rig.since }, .forward,
        "write_reply", move(hot, completed + 1, 0b10)),
      .server(
        1, "reply for a cold key", TestKey.cold.from(1, .set, version: completed + 1), .forward,
        "write_reply"),
      .server(
        1, "reply for a key being added", TestKey.adding.from(1, .set, version: completed + 1),
        .forward, "write_reply"),
      .server(
        1, "reply for a key being removed", TestKey.removing.from(1, .set, version: completed + 1),
        .forward, "write_reply", move(TestKey.removing, completed + 1, 0b10)),
      .server(
        1, "reply with the last version of the window",
        hot.from(1, .set, version: completed + UInt64(Rig.window) - 1), .forward, "write_reply",
        move(hot, completed + UInt64(Rig.window) - 1, 0b10)),
      .server(
        1, "reply beyond the window", hot.from(1, .set, version: completed + UInt64(Rig.window)),
        .drop, "drop_outside_window"),
      .server(
        1, "COPY_ACK beyond the window",
        hot.from(1, .copyAck, version: completed + 5 * UInt64(Rig.window)), .drop,
        "drop_outside_window"),
      .server(
        1, "reply whose time to live runs out", hot.from(1, .set, version: completed + 1), .drop,
        "drop_hops",
        {
          $0.frame.hops = 1
          $0.move = .init(key: hot, completed: completed + 1, replicaSet: 0b10)
        }),
      .server(
        1, "reply to a port that does not exist",
        hot.from(1, .get, version: completed) { $0.returnPath = 0x0001_0000_0000_0002 }, .drop,
        "drop_no_return_path", move(hot, completed, 0b110)),
      .server(
        1, "reply to a port far beyond the last",
        hot.from(1, .get, version: completed) { $0.returnPath = 0xffff_0000_0000_0002 }, .drop,
        "drop_no_return_path", move(hot, completed, 0b110)),
      .server(
        1, "COPY_ACK of the completed version", hot.from(1, .copyAck, version: completed), .drop,
        "copy_ack", move(hot, completed, 0b110)),
      .server(
        1, "COPY_ACK, newer", hot.from(1, .copyAck, version: completed + 1), .drop, "copy_ack",
        move(hot, completed + 1, 0b10)),
      .server(
        1, "COPY_ACK, older", hot.from(1, .copyAck, version: completed - 1), .drop, "copy_ack"),
      .server(
        1, "MIRROR of a cold key",
        TestKey.cold.from(1, .mirror, version: completed, value: [1]) { $0.copyTargets = 0b1000 },
        .mirror(3), "mirror"),
      .server(
        1, "MIRROR of a hot key",
        hot.from(1, .mirror, version: completed + 1, value: [1]) {
          $0.copyTargets = 0b1000
          $0.flags = .replicated
        }, .mirror(3), "mirror"),
      .server(
        1, "MIRROR of a cold key to a dead server",
        TestKey.cold.from(1, .mirror, version: completed, value: [1]) { $0.copyTargets = 0b10000 },
        .drop, "drop_copy_target_dead"),
      .server(
        1, "MIRROR of a cold key to nobody",
        TestKey.cold.from(1, .mirror, version: completed, value: [1]), .drop, "drop_malformed"),
      .server(
        3, "MIRROR_ACK",
        TestKey.cold.from(3, .mirrorAck, version: completed) { $0.copyTargets = 0b10 },
        .mirror(1), "mirror"),
      .server(
        2, "COPY to a living server",
        TestKey.hotWide.from(2, .copy, version: completed, value: [1, 2, 3]) {
          $0.copyTargets = 0b1000
        }, .copy(3), "copy"),
      .server(
        2, "COPY of a cold key",
        TestKey.cold.from(2, .copy, version: completed, value: [1]) { $0.copyTargets = 0b1000 },
        .copy(3), "copy"),
      .server(
        2, "COPY to a dead server, while another is as good",
        hot.from(2, .copy, version: completed, value: [1]) { $0.copyTargets = 0b10000 },
        .copy(1), "copy"),
      .server(
        2, "COPY in a transition",
        TestKey.removing.from(2, .copy, version: completed - 1, value: [1]) {
          $0.copyTargets = 0b1
        }, .copy(0), "copy"),
      .server(
        2, "COPY of an outdated version",
        hot.from(2, .copy, version: completed - 1, value: [1]) { $0.copyTargets = 0b1000 }, .drop,
        "copy_unneeded"),
      .server(
        1, "COPY to a server that has it",
        TestKey.hotWide.from(1, .copy, version: completed, value: [1]) {
          $0.copyTargets = 0b100
        }, .drop, "copy_unneeded"),
      .server(
        2, "COPY to a dead server",
        TestKey.hotWide.from(2, .copy, version: completed, value: [1]) {
          $0.copyTargets = 0b10000
        }, .drop, "drop_copy_target_dead"),
      .server(
        2, "COPY to two servers at once",
        hot.from(2, .copy, version: completed, value: [1]) { $0.copyTargets = 0b11 }, .drop,
        "drop_malformed"),
      .server(
        2, "COPY to nobody", hot.from(2, .copy, version: completed, value: [1]), .drop,
        "drop_malformed"),
      .server(
        2, "SLOT_COPY of a cold key",
        TestKey.cold.from(2, .slotCopy, version: completed, value: [1]) {
          $0.copyTargets = 0b1000
        }, .copy(3), "slot_copy"),
      .server(
        2, "SLOT_COPY of a hot key, outdated",
        hot.from(2, .slotCopy, version: completed - 1, value: [1]) { $0.copyTargets = 0b1000 },
        .copy(3), "slot_copy"),
      .server(
        3, "SLOT_COPY_ACK",
        TestKey.cold.from(3, .slotCopyAck, version: 0) {
          $0.copyTargets = 0b100
        }, .copy(2), "slot_copy"),
      .server(
        2, "SLOT_COPY to a dead server",
        TestKey.cold.from(2, .slotCopy, version: completed, value: [1]) {
          $0.copyTargets = 0b10000
        }, .drop, "drop_copy_target_dead"),
      .server(
        2, "SLOT_COPY to two servers at once",
        TestKey.cold.from(2, .slotCopy, version: completed, value: [1]) {
          $0.copyTargets = 0b11
        }, .drop, "drop_malformed"),
      .server(
        1, "outgoing forward, no next rack",
        hot.from(1, .set, version: completed + 1, value: [1]) { $0.flags = [.forwarded] },
        .drop, "drop_no_return_path",
        {
          $0.move = .init(key: hot, completed: completed + 1, replicaSet: 0b10)
          $0.frame.destination = Place.rack
          $0.frame.destinationPort = WireLimits.port
        }),
      .server(
        1, "outgoing forward to the next rack",
        hot.from(1, .set, version: completed + 1, value: [1]) {
          $0.flags = [.forwarded, .replicated]
        }, .sendDown, "chain_forward",
        {
          $0.isChained = true
          $0.move = .init(key: hot, completed: completed + 1, replicaSet: 0b10)
        }),
      .server(
        1, "outgoing forward of a DELETE to the next rack",
        hot.from(1, .delete, version: completed + 1) { $0.flags = [.forwarded] }, .sendDown,
        "chain_forward",
        {
          $0.isChained = true
          $0.move = .init(key: hot, completed: completed + 1, replicaSet: 0b10)
        }),
    ]
    let toController: [Wire.Operation] = [
      .fenceAck, .syncAck, .floorAck, .slotsAck, .probeAck, .admitAck, .learnAck, .slotsMoveAck,
    ]
    for operation in toController {
      cases.append(
        .server(
          1, "\(operation) to the controller", hot.from(1, operation, version: completed + 9),
          .pass, "control"))
    }
    for status in Status.allCases where status != .ok && status != .notFound {
      cases.append(
        .server(
          1, "reply with status \(status)", hot.from(1, .set, status, version: completed + 1),
          .forward, "write_reply"))
    }
    return cases
  }()
}
