using CsCheck;
using Godwit.Storage.Mirror;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

/// <summary>Guests, copier and a target that fails now and then, all at the same time.</summary>
public sealed class MirrorModelTests
{
    private const int Size = (256 << 10) + 512;
    private static readonly CancellationToken None = CancellationToken.None;

    private static readonly FileOperation[] Faulting =
        [FileOperation.Write, FileOperation.Write, FileOperation.PunchHole, FileOperation.GetExtent, FileOperation.Flush];

    // Which requests meet which chunk is up to the scheduler, so a seed gives the same requests but not the same meeting.
    private static readonly Gen<Request[]> Requests = Gen.Select(
        Gen.Enum<RequestKind>(), Gen.Int[0, (Size / 512) - 1], Gen.Int[1, 64], Gen.Int, (kind, sector, count, seed) =>
            new Request(kind, sector * 512, Math.Min(count * 512, Size - (sector * 512)), seed)).Array[1, 40];

    private static readonly Gen<Fault[]> Faults = Gen.Select(
        Gen.Int[0, Faulting.Length - 1],
        Gen.Int[1, 12], Gen.Int[1, 3], (operation, nth, times) =>
            new Fault(Faulting[operation], nth, Faulting[operation] == FileOperation.Flush ? 1 : times)).Array[0, 2];

    [Fact(Timeout = 120_000)]
    public async Task Whatever_happens_the_guest_sees_no_error_and_both_sides_end_equal() =>
        await Gen.Select(Requests, Requests, Faults, Gen.Bool).SampleAsync(RunAsync, iter: 250, threads: 1);

    private static async Task RunAsync(Request[] first, Request[] second, Fault[] faults, bool dense)
    {
        var source = MirrorRig.Empty(Size);
        await source.WriteAsync(0, MirrorRig.Noise(1, dense ? Size : 20_480), None);
        var options = new MirrorOptions { FirstRetryAfter = TimeSpan.FromMilliseconds(1), SynchronousBelow = dense ? 16 << 10 : 1 << 20 };
        await using var rig = MirrorRig.Create(source, MirrorRig.Empty(Size), new MirrorSetup { Options = options, Chunk = 8 << 10 });
        foreach (var fault in faults)
            rig.TargetFile.Fail(fault.Operation, nth: fault.Nth, times: fault.Times);
        rig.Start();
        await Task.WhenAll(Task.Run(() => SendAsync(rig, first)), Task.Run(() => SendAsync(rig, second)));
        await rig.UntilAsync(MirrorDiskState.Verified);

        // And once more where every request has to go to both sides.
        await Task.WhenAll(Task.Run(() => SendAsync(rig, second)), Task.Run(() => SendAsync(rig, first)));
        await rig.UntilAsync(MirrorDiskState.Verified);
        Assert.Equal(0, rig.Bitmap.DirtyBytes);
        await rig.AssertEqualAsync();
    }

    private static async Task SendAsync(MirrorRig rig, Request[] requests)
    {
        foreach (var request in requests)
        {
            switch (request.Kind)
            {
                case RequestKind.Write or RequestKind.ForcedWrite:
                    var flags = request.Kind == RequestKind.Write ? WriteFlags.None : WriteFlags.ForceUnitAccess;
                    await rig.Disk.WriteAsync(request.Offset, MirrorRig.Noise(request.Seed, request.Length), flags, None);
                    break;
                case RequestKind.Zero:
                    await rig.Disk.WriteZeroesAsync(request.Offset, request.Length, (WriteFlags)(request.Seed & 2), None);
                    break;
                case RequestKind.Trim:
                    await rig.Disk.TrimAsync(request.Offset, request.Length, None);
                    break;
                default:
                    await rig.Disk.FlushAsync(None);
                    break;
            }

            if (request.Seed % 3 == 0)
                await Task.Yield();
        }
    }

    private enum RequestKind
    {
        Write,
        ForcedWrite,
        Zero,
        Trim,
        Flush,
    }

    private sealed record Request(RequestKind Kind, int Offset, int Length, int Seed);

    private sealed record Fault(FileOperation Operation, int Nth, int Times);
}
