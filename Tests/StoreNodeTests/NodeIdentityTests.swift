import SegmentLog
import Testing

@testable import StoreNode

@Suite struct NodeIdentityTests {
  @Test func comesBack() throws {
    let directory = try TemporaryDirectory()
    #expect(try NodeIdentity.read(directory.path, LocalFiles()) == nil)
    let identity = NodeIdentity(cell: .max, node: 3, incarnation: 77, hasLostVotes: true, life: 5)
    try identity.write(directory.path, LocalFiles())
    #expect(try NodeIdentity.read(directory.path, LocalFiles()) == identity)
  }

  @Test func aChangedOneIsNone() {
    let text = NodeIdentity(cell: 1, node: 3, incarnation: 77, hasLostVotes: false, life: 0).text
    let whole = Array(text.utf8)
    #expect(NodeIdentity(text: text) != nil)
    for place in whole.indices.dropLast() {
      var changed = whole
      changed[place] ^= 1
      #expect(NodeIdentity(text: String(decoding: changed, as: UTF8.self)) == nil)
    }
  }
}
