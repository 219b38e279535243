using System.Net.Sockets;
using Godwit.Nbd.Protocol;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Sessions nobody would send on purpose. Oracle: nothing reaches the device that was not asked for by a whole valid
/// request, every session ends, and a good client is served as ever.</summary>
public sealed class GarbageTests(ITestOutputHelper output)
{
    private const int Size = 256 << 10;

    [Theory(Timeout = 120_000)]
    [InlineData(1, 1500, NbdHeaderForm.Structured)]
    [InlineData(2, 1500, NbdHeaderForm.Simple)]
    [InlineData(3, 1500, NbdHeaderForm.Extended)]
    public async Task Mutated_sessions_write_nothing_they_did_not_ask_for(int seed, int sessions, object form)
    {
        var disk = new JournalDisk(Size);
        await using var server = new ServerUnderTest(disk);
        using var witness = server.Connect().Go();
        var random = new Random(seed);
        for (var session = 0; session < sessions; session++)
        {
            var bytes = Mutate(Session(random, (NbdHeaderForm)form), random);
            await PlayAsync(server, bytes);
            while (server.Server.Connections > 1)
                await Task.Yield();
            foreach (var change in disk.TakeChanges())
                Assert.True(IsAskedFor(bytes, change), $"seed {seed}, session {session}: {change.Kind} of {change.Length} at {change.Offset} was never asked for");
        }

        Assert.Equal(512, witness.Ask(NbdCommand.Read, 0, 512).Data.Length);
        output.WriteLine($"seed {seed}: {sessions} sessions, {server.Problems.Count} cut off");
        Assert.True(server.Problems.Count > sessions / 20, "the mutations hardly ever broke the protocol");
    }

    [Theory(Timeout = 60_000)]
    [InlineData(NbdHeaderForm.Structured)]
    [InlineData(NbdHeaderForm.Simple)]
    [InlineData(NbdHeaderForm.Extended)]
    public async Task Hanging_up_at_any_byte_harms_nobody(object form)
    {
        var disk = new JournalDisk(Size);
        await using var server = new ServerUnderTest(disk);
        using var witness = server.Connect().Go();
        var bytes = Session(new Random(3), (NbdHeaderForm)form);
        for (var length = 0; length < bytes.Length; length += length < 400 ? 1 : 97)
        {
            using (var client = server.Connect())
                client.Send(bytes.AsSpan(0, length));
            while (server.Server.Connections > 1)
                await Task.Yield();
            foreach (var change in disk.TakeChanges())
                Assert.True(IsAskedFor(bytes.AsSpan(0, length), change), $"after {length} bytes: {change.Kind} at {change.Offset}");
        }

        Assert.Equal(512, witness.Ask(NbdCommand.Read, 0, 512).Data.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task Garbage_in_place_of_a_request_ends_only_that_connection()
    {
        await Task.Yield();
        await using var server = new ServerUnderTest(new JournalDisk(Size));
        using var witness = server.Connect().Go();
        using var client = server.Connect().Go(structured: false);
        client.Send([.. RawClient.Request(NbdCommand.Flush, 0, 0, 1), .. new byte[100]]);
        Assert.Equal(1ul, client.ReceiveReply().Cookie);
        Assert.Empty(client.ReceiveToEnd());
        Assert.Contains(server.Problems, problem => problem.Contains("magic", StringComparison.Ordinal));
        Assert.Equal(512, witness.Ask(NbdCommand.Read, 0, 512).Data.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task Clients_beyond_the_limit_are_turned_away_and_the_others_stay()
    {
        await Task.Yield();
        await using var server = new ServerUnderTest(new JournalDisk(Size), new NbdServerOptions { MaxConnections = 2 });
        using var first = server.Connect().Go();
        using var second = server.Connect().Go();
        using var third = server.Connect();
        Assert.Empty(third.ReceiveToEnd());
        Assert.Equal(NbdError.None, first.Ask(NbdCommand.Flush).Error);
        Assert.Equal(2, server.Exports[0].Connections);
    }

    private static byte[] Session(Random random, NbdHeaderForm form)
    {
        var extended = form == NbdHeaderForm.Extended;
        var bytes = new List<byte>(RawClient.HandshakeBytes(form: form));
        for (var i = 0u; i < 12; i++)
        {
            var command = (NbdCommand)random.Next(8);
            if (command == NbdCommand.Disconnect)
                command = NbdCommand.Write;
            var flush = command == NbdCommand.Flush;
            var length = flush ? 0 : (uint)random.Next(1, 9) * 512;
            var payload = command == NbdCommand.Write ? new byte[length] : null;
            if (payload is not null)
                random.NextBytes(payload);
            var offset = flush ? 0 : (ulong)random.Next(400) * 512;
            bytes.AddRange(command == NbdCommand.BlockStatus && extended && random.Next(2) == 0
                ? RawClient.Request(command, offset, 12, i, NbdCommandFlags.PayloadLength, [0, 0, 0, 0, .. RawClient.Big32(length), .. RawClient.Big32(1)], true)
                : RawClient.Request(command, offset, length, i, NbdCommandFlags.None, payload, extended));
        }

        bytes.AddRange(RawClient.Request(NbdCommand.Disconnect, 0, 0, extended: extended));
        return [.. bytes];
    }

    private static byte[] Mutate(byte[] session, Random random)
    {
        var bytes = new List<byte>(session);
        for (var mutation = random.Next(1, 4); mutation > 0 && bytes.Count > 8; mutation--)
        {
            var at = random.Next(bytes.Count);
            var count = Math.Min(random.Next(1, 40), bytes.Count - at);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes.RemoveRange(at, count);
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(random.Next(bytes.Count - count), count));
                    break;
                case 4:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    for (var i = 0; i < count; i++)
                        bytes[at + i] = random.Next(3) == 0 ? (byte)255 : (byte)random.Next(256);
                    break;
            }
        }

        return [.. bytes];
    }

    /// <summary>Sends everything, says that there is no more, and reads until the server hangs up.</summary>
    private static async Task PlayAsync(ServerUnderTest server, byte[] bytes)
    {
        using var client = server.Connect();
        var sending = Task.Run(() =>
        {
            try
            {
                client.Send(bytes);
                client.Socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // Cut off before the end: the answer to garbage.
            }
        });
        await Task.Run(client.ReceiveToEnd);
        await sending;
    }

    /// <summary>Somewhere in the bytes stands a request for exactly this change, with its payload.</summary>
    private static bool IsAskedFor(ReadOnlySpan<byte> bytes, JournalDisk.Change change)
    {
        for (var at = 0; at + NbdMagic.RequestLength <= bytes.Length; at++)
        {
            var request = bytes[at..];
            if (IsAskedForBy(request, extended: false, change)
                || (request.Length >= NbdMagic.ExtendedRequestLength && IsAskedForBy(request, extended: true, change)))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsAskedForBy(ReadOnlySpan<byte> bytes, bool extended, JournalDisk.Change change)
    {
        if (!RequestHeader.TryParse(bytes, extended, out var request))
            return false;
        var kind = request.Command switch
        {
            NbdCommand.Write => "write",
            NbdCommand.Trim => "trim",
            NbdCommand.WriteZeroes => "zeroes",
            _ => "",
        };
        return change.Kind == kind && request.Offset == (ulong)change.Offset && request.Length == (ulong)change.Length
            && bytes[request.HeaderLength..].StartsWith(change.Bytes);
    }
}
