using System.Diagnostics;
using System.Net.Sockets;
using Godwit.Storage;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Our client with servers that are not ours.</summary>
public sealed class ForeignServerTests : IDisposable
{
    private const int Size = 8 << 20;
    private readonly TempFolder _folder = new();

    public static TheoryData<string> Servers => ["qemu-nbd", "nbdkit", "nbdkit-nozero", "nbdkit-nofua"];

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [MemberData(nameof(Servers))]
    public async Task The_client_gets_along_with_it(string server)
    {
        var socket = _folder.File("foreign.sock");
        using var process = Start(server, socket);
        try
        {
            await using var device = await ConnectAsync(socket);
            Assert.Equal(Size, device.Length);
            await CompareAsync(device, new ReferenceDisk(Size), new Random(7));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }

    private static async Task CompareAsync(NbdDevice device, ReferenceDisk model, Random random)
    {
        for (var step = 0; step < 200; step++)
        {
            var offset = random.Next(Size / 4096) * 4096L;
            var length = (int)Math.Min(random.Next(1, 80) * 4096, Size - offset);
            var flags = random.Next(3) == 0 ? WriteFlags.ForceUnitAccess : WriteFlags.None;
            var bytes = new byte[length];
            switch (random.Next(4))
            {
                case 0:
                    random.NextBytes(bytes);
                    await device.WriteAsync(offset, bytes, flags, CancellationToken.None);
                    await model.WriteAsync(offset, bytes, flags, CancellationToken.None);
                    break;
                case 1:
                    await device.WriteZeroesAsync(offset, length, flags, CancellationToken.None);
                    await model.WriteZeroesAsync(offset, length, flags, CancellationToken.None);
                    break;
                case 2:
                    var extent = await device.GetExtentAsync(offset, Size - offset, CancellationToken.None);
                    var content = model.ToArray().AsSpan((int)offset, (int)extent.Length);
                    Assert.True(!extent.ReadsAsZeroes || !content.ContainsAnyExcept((byte)0), $"{extent} hides data");
                    break;
                default:
                    await device.ReadAsync(offset, bytes, CancellationToken.None);
                    Assert.True(model.ToArray().AsSpan((int)offset, length).SequenceEqual(bytes), $"step {step}: {length} bytes at {offset} differ");
                    break;
            }
        }

        await device.FlushAsync(CancellationToken.None);
    }

    private static async Task<NbdDevice> ConnectAsync(string socket)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await NbdDevice.ConnectAsync(new UnixDomainSocketEndPoint(socket), "", CancellationToken.None);
            }
            catch (StorageException failure) when (failure.Kind == StorageErrorKind.NotFound && attempt < 500)
            {
                await Task.Delay(20);
            }
        }
    }

    private Process Start(string server, string socket)
    {
        var program = server.Split('-') is ["nbdkit", ..] ? "nbdkit" : server;
        Tool.Require(program);
        if (server == "qemu-nbd")
        {
            using var file = File.Create(_folder.File("disk.raw"));
            file.SetLength(Size);
            return ChildProgram.Start(program, ["-k", socket, "-f", "raw", "-t", "-e", "4", _folder.File("disk.raw")], null, redirect: true);
        }

        string[] filter = server switch
        {
            "nbdkit-nozero" => ["--filter=nozero"],
            "nbdkit-nofua" => ["--filter=fua"],
            _ => [],
        };
        return ChildProgram.Start(program, ["-f", "-U", socket, .. filter, "memory", $"{Size}"], null, redirect: true);
    }
}
