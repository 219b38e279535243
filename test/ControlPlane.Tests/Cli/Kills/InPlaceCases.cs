using Godwit.Storage.Formats;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli.Kills;

/// <summary>godwit disk compact: the disk reads the same at any moment.</summary>
internal sealed class CompactCase(ImageFormat format) : KillCase
{
    private long _lengthAfter;

    public override string[] Words => ["compact", "d.img"];

    public override Task PrepareAsync(string folder) => MakeAsync(Path.Combine(folder, "d.img"), format, 256 * MiB, units: 32);

    public override async Task RequireSafeAsync(string before, string folder)
    {
        await RequireSoundAsync(Path.Combine(folder, "d.img"));
        await RequireSameAsync(Path.Combine(before, "d.img"), Path.Combine(folder, "d.img"));
        RequireFiles(folder, "d.img");
    }

    public override async Task RequireDoneAsync(string before, string folder)
    {
        var image = new FileInfo(Path.Combine(folder, "d.img"));
        Assert.InRange(image.Length, 1, new FileInfo(Path.Combine(before, "d.img")).Length - (8 * MiB));
        Assert.Equal(_lengthAfter == 0 ? _lengthAfter = image.Length : _lengthAfter, image.Length);
        await RequireSoundAsync(image.FullName, closed: true);
    }
}

/// <summary>godwit disk resize: the size is the old one or the new one, and the content is what it was.</summary>
internal sealed class ResizeCase(ImageFormat format, long from, long to) : KillCase
{
    public override string[] Words => ["resize", "d.img", "--size", $"{to}"];

    public override Task PrepareAsync(string folder) => MakeAsync(Path.Combine(folder, "d.img"), format, from, units: 8);

    public override async Task RequireSafeAsync(string before, string folder)
    {
        await RequireSoundAsync(Path.Combine(folder, "d.img"));
        await RequireSameAsync(Path.Combine(before, "d.img"), Path.Combine(folder, "d.img"));
        await using var disk = await OpenAsync(Path.Combine(folder, "d.img"));
        Assert.Contains(disk.Length, (long[])[from, to]);
        RequireFiles(folder, "d.img");
    }

    public override async Task RequireDoneAsync(string before, string folder)
    {
        await RequireSoundAsync(Path.Combine(folder, "d.img"), closed: true);
        await using var disk = await OpenAsync(Path.Combine(folder, "d.img"));
        Assert.Equal(to, disk.Length);
    }
}

/// <summary>godwit disk repair of the image itself: the undo file is all that is left, and it leads back.</summary>
internal sealed class RepairCase : KillCase
{
    private readonly byte[] _garbage = [.. Enumerable.Repeat((byte)0xEE, 4096)];

    public override string[] Words => ["repair", "d.vhdx", "--lossy"];

    public override async Task PrepareAsync(string folder)
    {
        var image = Path.Combine(folder, "d.vhdx");
        await MakeAsync(image, ImageFormat.VhdxDynamic, 8L << 40, units: 8);
        Directory.CreateDirectory(Path.Combine(folder, "good"));
        File.Copy(image, Path.Combine(folder, "good", "d.vhdx"));

        // Signature, one header, one region table, and one page in two of the block table's unused part.
        using var file = File.OpenHandle(image, FileMode.Open, FileAccess.Write);
        foreach (var offset in (long[])[0, 64 << 10, 192 << 10])
            await RandomAccess.WriteAsync(file, _garbage, offset, Token);
        for (var page = 16; page < 4096; page += 2)
            await RandomAccess.WriteAsync(file, _garbage, (3L * MiB) + (page * 4096L), Token);
    }

    public override Task RequireSafeAsync(string before, string folder)
    {
        RequireFiles(folder, Directory.GetFiles(folder).Length == 1 ? ["d.vhdx"] : ["d.vhdx", "d.vhdx.undo"]);
        return Task.CompletedTask;
    }

    public override async Task RequireDoneAsync(string before, string folder)
    {
        var image = Path.Combine(folder, "d.vhdx");
        await RequireSoundAsync(image, closed: true);
        await RequireSameAsync(Path.Combine(before, "good", "d.vhdx"), image);
        using var run = new CliRun { Folder = folder };
        var restored = await run.RunAsync("disk", "repair", "d.vhdx", "--restore", "d.vhdx.undo");
        Assert.True(restored.Code == 0, $"{restored}");
        await RequireSameBytesAsync(Path.Combine(before, "d.vhdx"), image);
    }

    public override Task RequireCancelledAsync(string before, string folder)
    {
        RequireFiles(folder, "d.vhdx");
        return RequireSameBytesAsync(Path.Combine(before, "d.vhdx"), Path.Combine(folder, "d.vhdx"));
    }
}
