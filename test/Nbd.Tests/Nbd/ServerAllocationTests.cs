using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>The gate: a request that the device completes at once costs the server no allocation.</summary>
public sealed class ServerAllocationTests
{
    [Theory(Timeout = 60_000)]
    [InlineData(NbdCommand.Read, 4096, NbdHeaderForm.Simple)]
    [InlineData(NbdCommand.Read, 4096, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.Read, 4096, NbdHeaderForm.Extended)]
    [InlineData(NbdCommand.Read, 1 << 20, NbdHeaderForm.Simple)]
    [InlineData(NbdCommand.Read, 1 << 20, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.Read, 1 << 20, NbdHeaderForm.Extended)]
    [InlineData(NbdCommand.Write, 4096, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.Write, 4096, NbdHeaderForm.Extended)]
    [InlineData(NbdCommand.Write, 1 << 20, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.Write, 1 << 20, NbdHeaderForm.Extended)]
    [InlineData(NbdCommand.Flush, 0, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.Flush, 0, NbdHeaderForm.Extended)]
    [InlineData(NbdCommand.Trim, 4096, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.Trim, 4096, NbdHeaderForm.Extended)]
    [InlineData(NbdCommand.WriteZeroes, 4096, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.WriteZeroes, 4096, NbdHeaderForm.Extended)]
    [InlineData(NbdCommand.BlockStatus, 1 << 20, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.BlockStatus, 1 << 20, NbdHeaderForm.Extended)]
    public async Task A_request_allocates_nothing_on_the_connections_thread(object command, int length, object form)
    {
        await Task.Yield();
        const int Requests = 64;
        await using var device = new MeteringDisk();
        await using var server = new ServerUnderTest(device);
        using var client = server.Connect().Go("disk", (NbdHeaderForm)form, "base:allocation", "godwit:layer");
        var payload = (NbdCommand)command == NbdCommand.Write ? new byte[length] : null;
        var fewest = long.MaxValue;

        // The fewest of some runs: the runtime allocates now and then on its own, code that allocates does so every time.
        for (var run = 0; run < 6 && fewest > 0; run++)
        {
            Ask(client, (NbdCommand)command, length, payload);
            var before = device.AllocatedOnServerThread;
            for (var i = 0; i < Requests; i++)
                Ask(client, (NbdCommand)command, length, payload);
            fewest = Math.Min(fewest, device.AllocatedOnServerThread - before);
        }

        Assert.Equal(0, fewest);
    }

    private static void Ask(RawClient client, NbdCommand command, int length, byte[]? payload) =>
        Assert.Equal(NbdError.None, client.Ask(command, 0, (uint)length, payload: payload).Error);

    /// <summary>Notes what the calling thread, the connection's, has allocated so far.</summary>
    private sealed class MeteringDisk() : DelegatingBlockDevice(new ReferenceDisk(2 << 20))
    {
        private long _allocated;

        public long AllocatedOnServerThread => Volatile.Read(ref _allocated);

        protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            Note();
            return base.ReadCoreAsync(offset, buffer, cancellationToken);
        }

        protected override ValueTask WriteCoreAsync(
            long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
        {
            Note();
            return base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
        }

        protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken)
        {
            Note();
            return base.FlushCoreAsync(cancellationToken);
        }

        protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
        {
            Note();
            return base.TrimCoreAsync(offset, length, cancellationToken);
        }

        protected override ValueTask WriteZeroesCoreAsync(
            long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
        {
            Note();
            return base.WriteZeroesCoreAsync(offset, length, flags, cancellationToken);
        }

        protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
        {
            Note();
            return base.GetExtentCoreAsync(offset, length, cancellationToken);
        }

        private void Note() => Volatile.Write(ref _allocated, GC.GetAllocatedBytesForCurrentThread());
    }
}
