import ControllerCore
import Glibc
import Testing

@testable import Controller

@Suite("The state file")
struct EpochFileTests {
  @Test("Without a file the first epoch is 1, and it is on the disk")
  func first() throws {
    let scratch = try Scratch()
    let file = try EpochFile(path: scratch["deep/er/state"])
    #expect(try file.read() == EpochFile.Contents())
    #expect(try file.next().epoch == 1)
    #expect(try scratch.read("deep/er/state") == "hotrack state 1\nepoch 1\n")
  }

  @Test("Every start takes the next epoch")
  func following() throws {
    let scratch = try Scratch()
    for epoch in 1...5 {
      #expect(try EpochFile(path: scratch["state"]).next().epoch == UInt16(epoch))
    }
    try scratch.write("state", "hotrack state 1\nepoch 65534\n")
    #expect(try EpochFile(path: scratch["state"]).next().epoch == 65535)
  }

  @Test(
    "The members that were recorded are there for the next start, and only for its owner to see")
  func members() throws {
    let scratch = try Scratch()
    let members = [
      RackMember(server: 0, incarnation: 0xff), RackMember(server: 31, incarnation: .max),
    ]
    let orders = [
      ServiceOrder(server: 2, isDrained: true), ServiceOrder(server: 31, isDrained: false),
    ]
    do {
      let file = try EpochFile(path: scratch["state"])
      let contents = EpochFile.Contents(
        epoch: try file.next().epoch, members: members, serviceOrders: orders)
      try file.record(contents)
      #expect(try file.read() == contents)
    }
    #expect(
      try scratch.read("state") == """
        hotrack state 1
        epoch 1
        server 0 incarnation 00000000000000ff
        server 31 incarnation ffffffffffffffff
        drained 2
        added 31

        """)
    var status = stat()
    #expect(stat(scratch["state"], &status) == 0 && status.st_mode & 0o777 == 0o600)
    let next = try EpochFile(path: scratch["state"]).next()
    #expect(next == EpochFile.Contents(epoch: 2, members: members, serviceOrders: orders))
  }

  @Test("After the last epoch there is none, and the file stays")
  func usedUp() throws {
    let scratch = try Scratch()
    try scratch.write("state", "hotrack state 1\nepoch 65535\n")
    let file = try EpochFile(path: scratch["state"])
    #expect(throws: ControllerError.epochsUsedUp(path: scratch["state"])) { try file.next() }
    #expect(try file.read().epoch == 65535)
  }

  @Test(
    "A damaged file is not taken for another number",
    arguments: [
      "", "epoch 4\n", "hotrack state 1\n", "hotrack state 1\nepoch 4", "hotrack state 1\nepoch \n",
      "hotrack state 1\nepoch -1\n", "hotrack state 1\nepoch 65536\n", "hotrack state 2\nepoch 4\n",
      "hotrack state 1\nepoch 04\n", "hotrack state 1\nepoch +4\n", "hotrack state 1\nepoch 4\n\n",
      "hotrack state 1\nepoch 4\nepoch 5\n", "\0\0\0\0\0\0\0\0",
      String(repeating: "hotrack state 1\nepoch 4\n", count: 4),
      "hotrack state 1\nepoch 4\nserver 1 incarnation 00000000000000ff",
      "hotrack state 1\nepoch 4\nserver 1 incarnation ff\n",
      "hotrack state 1\nepoch 4\nserver 32 incarnation 00000000000000ff\n",
      "hotrack state 1\nepoch 4\nserver 1 incarnation -0000000000000ff\n",
      "hotrack state 1\nepoch 4\n\nserver 1 incarnation 00000000000000ff\n",
      "hotrack state 1\nepoch 4\ndrained 32\n", "hotrack state 1\nepoch 4\ndrained 01\n",
      "hotrack state 1\nepoch 4\nremoved 1\n", "hotrack state 1\nepoch 4\ndrained 1",
    ])
  func damaged(text: String) throws {
    let scratch = try Scratch()
    try scratch.write("state", text)
    let file = try EpochFile(path: scratch["state"])
    let error = #expect(throws: ControllerError.self) { try file.next() }
    guard case .stateFileCorrupt(let path, _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(path == scratch["state"])
    #expect(error?.description.contains("restore it") == true)
    #expect(try scratch.read("state") == text, "a damaged file is left for people to look at")
  }

  @Test("What a start that was cut off has left behind does no harm")
  func leftover() throws {
    let scratch = try Scratch()
    try scratch.write("state", "hotrack state 1\nepoch 7\n")
    try scratch.write("state.new", "hotrack sta")
    #expect(try EpochFile(path: scratch["state"]).next().epoch == 8)
  }

  @Test("A place where nothing can be written is said")
  func readOnly() throws {
    // Nobody, not even root, can make a file there.
    let error = #expect(throws: ControllerError.self) {
      try EpochFile(path: "/proc/self/state").next()
    }
    guard case .stateFile(path: "/proc/self/state", _, _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(error?.description.contains("--state") == true)
  }

  @Test("Two controllers cannot use one file; after the first the second can")
  func locked() throws {
    let scratch = try Scratch()
    do {
      let file = try EpochFile(path: scratch["state"])
      #expect(throws: ControllerError.stateFileTaken(path: scratch["state"])) {
        try EpochFile(path: scratch["state"])
      }
      #expect(try file.next().epoch == 1)
    }
    #expect(try EpochFile(path: scratch["state"]).next().epoch == 2)
  }
}
