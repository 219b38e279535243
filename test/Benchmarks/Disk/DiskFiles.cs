using System.Buffers.Binary;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Disk;

/// <summary>The files that are worked on: the same ones for everybody, the images made by qemu-img.</summary>
internal static class DiskFiles
{
    private const int MiB = 1 << 20;
    private const int Page = 4096;

    /// <summary>NAME.raw, NAME.vhdx (dynamic) and NAME.vhd (dynamic) with the same disk.</summary>
    /// <param name="folder">Where.</param>
    /// <param name="name">The set.</param>
    /// <param name="mebibytes">Size of the disk.</param>
    /// <param name="data">How many of them hold data: as many as there are, or some at random places.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task CreateAsync(string folder, string name, int mebibytes, int data, CancellationToken cancellationToken)
    {
        var raw = Path.Combine(folder, $"{name}.raw");
        await WriteRawAsync(raw, mebibytes, data, cancellationToken);
        foreach (var (format, extension) in new[] { ("vhdx", "vhdx"), ("vpc", "vhd") })
        {
            string[] arguments = ["convert", "-f", "raw", "-O", format, raw, Path.Combine(folder, $"{name}.{extension}")];
            (await ChildProgram.RunAsync("qemu-img", arguments, null, cancellationToken)).Succeeded();
        }
    }

    /// <summary>A VHDX with blocks of 1 MiB, whose table (513 MiB at 64 TiB) is a hole or says of every block that it is zero.</summary>
    public static async Task CreateHugeAsync(string godwit, string path, int tebibytes, bool fullTable, CancellationToken cancellationToken)
    {
        string[] arguments = ["disk", "create", path, "--size", $"{tebibytes}T", "--block-size", "1M"];
        (await ChildProgram.RunAsync(godwit, arguments, null, cancellationToken)).Succeeded();
        if (fullTable)
            await FillTableAsync(path, tebibytes << 20, cancellationToken);
    }

    private static async Task WriteRawAsync(string path, int mebibytes, int data, CancellationToken cancellationToken)
    {
        // No page is like another one, and none of it compresses.
        var content = new byte[MiB];
        var random = new Random(1);
        random.NextBytes(content);
        await using var file = File.Create(path);
        file.SetLength((long)mebibytes * MiB);
        for (int place = 0, left = data; left > 0; place++)
        {
            // Each of the places that are left is as likely to be taken.
            if (random.Next(mebibytes - place) >= left)
                continue;
            for (var at = 0; at < MiB; at += Page)
                BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(at), (place * (MiB / Page)) + (at / Page) + 1);
            file.Position = (long)place * MiB;
            await file.WriteAsync(content, cancellationToken);
            left--;
        }
    }

    /// <summary>Sets every payload entry to PAYLOAD_BLOCK_ZERO ([MS-VHDX] section 2.5.1.1).</summary>
    private static async Task FillTableAsync(string path, int blocks, CancellationToken cancellationToken)
    {
        const ulong Zero = 2;
        const int ChunkRatio = 4096;
        await using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        file.Position = await FindTableAsync(file, cancellationToken);
        var entries = new byte[(ChunkRatio + 1) * sizeof(ulong)];
        for (var index = 0; index < ChunkRatio; index++)
            BinaryPrimitives.WriteUInt64LittleEndian(entries.AsSpan(index * sizeof(ulong)), Zero);
        for (var chunk = 0; chunk < blocks / ChunkRatio; chunk++)
            await file.WriteAsync(entries.AsMemory(0, chunk == (blocks / ChunkRatio) - 1 ? ChunkRatio * sizeof(ulong) : entries.Length), cancellationToken);
    }

    private static async Task<long> FindTableAsync(FileStream file, CancellationToken cancellationToken)
    {
        var region = new byte[64 << 10];
        file.Position = 192 << 10;
        await file.ReadExactlyAsync(region, cancellationToken);
        var table = new Guid("2dc27766-f623-4200-9d64-115e9bfd4a08").ToByteArray();
        var entry = region.AsSpan().IndexOf(table);
        return entry < 0
            ? throw new InvalidOperationException($"{file.Name} has no table in its first region table")
            : BinaryPrimitives.ReadInt64LittleEndian(region.AsSpan(entry + table.Length));
    }
}
