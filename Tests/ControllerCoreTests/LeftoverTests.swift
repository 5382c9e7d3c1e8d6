import ControllerCore
import Testing
import Wire

/// What is left over on a server from a hot time must not come back as the newest value.
@Suite struct LeftoverTests {
  /// FLOOR reaches servers one by one: home has forgotten that the key was deleted, while another
  /// server still has its value, and is fenced by the next promotion before FLOOR comes there.
  private func readAfterDelete(_ faults: ControllerFaults) throws -> Message {
    let rack = TestRack { $0.policy.copiesMax = 0 }
    rack.core.faults = faults
    rack.serve()
    let key = hash(homeOf: 0, of: 3)
    var sequence: UInt64 = 0
    func write(_ operation: Wire.Operation, _ value: [UInt8] = []) -> UInt8? {
      sequence += 1
      return rack.perform(operation, key, sequence: sequence, value: value)?.header.server
    }
    rack.promote(key)
    // The value is at server 1 only, and the delete elsewhere.
    var isThere = false
    for _ in 0..<200 where !isThere {
      isThere = write(.set, [7]) == 1 && write(.delete) != 1
    }
    rack.demote(key)
    #expect(rack.servers[1]?.stored[key]?.value == [7])
    rack.handle(.command(.floor))
    rack.queue.removeAll { _, destination, message in
      guard case .server(1) = destination else { return false }
      return message.header.operation == .floor
    }
    rack.run { rack.servers[0]?.stored[key] == nil }
    #expect(rack.servers[0]?.stored[key] == nil && rack.servers[1]?.stored[key]?.value == [7])
    rack.promote(key)
    rack.run(milliseconds: 200)
    rack.demote(key)
    return try #require(rack.perform(.get, key, client: 10, sequence: 1))
  }

  @Test("A value that was deleted does not come back when its tombstone was forgotten at home only")
  func deletedStaysDeleted() throws {
    #expect(try readAfterDelete([]).header.status == .notFound)
  }

  @Test("It would, if the absence at home did not get a fresh version")
  func deletedComesBack() throws {
    #expect(try readAfterDelete(.absenceIsOldest).value == [7])
  }
}
