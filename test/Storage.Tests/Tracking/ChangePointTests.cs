using Godwit.Storage.Tracking;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Tracking;

/// <summary>The file of a point: when it is believed, and when not.</summary>
public sealed class ChangePointTests : IDisposable
{
    private const int Granule = 4096;
    private const int Size = 64 * Granule;
    private static readonly Guid Boot = TrackingRig.Boot;
    private static readonly Guid Later = Guid.NewGuid();
    private static readonly ImageStamp Image = new(Size, 1234, 5678);
    private readonly TempFolder _folder = new();

    private string File => _folder.File("a.changes");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_killed_process_leaves_its_marks_and_a_restarted_computer_loses_them()
    {
        Marked().Dispose();
        using (var killed = Open(Boot, null))
            Assert.Equal((null, Granule), (killed.LostBecause, killed.ChangedBytes(Size)));
        AssertLost(Later, Image, "stopped while");
    }

    [Fact]
    public void A_closed_point_is_good_after_a_restart_until_it_is_opened_and_not_closed()
    {
        Marked().Close(Image);
        using (var again = Open(Later, Image))
        {
            Assert.Equal((null, Granule), (again.LostBecause, again.ChangedBytes(Size)));
            again.Mark(9 * Granule, 1);
        }

        AssertLost(Boot, Image, "stopped while");
        using var killed = Open(Later, Image);
        Assert.Equal(2 * Granule, killed.ChangedBytes(Size));
    }

    [Fact]
    public void A_closed_point_does_not_believe_an_image_that_looks_different()
    {
        Marked().Close(Image);
        var closed = System.IO.File.ReadAllBytes(File);
        foreach (var other in new ImageStamp?[] { Image with { Length = 1 }, Image with { Modified = 1 }, Image with { Inode = 1 }, null })
        {
            System.IO.File.WriteAllBytes(File, closed);
            AssertLost(Boot, other, "changed or replaced");
        }
    }

    [Fact]
    public void A_point_whose_image_tells_nothing_stays_open()
    {
        Marked().Close(null);
        AssertLost(Later, null, "stopped while");
        using var same = Open(Boot, null);
        Assert.Null(same.LostBecause);
    }

    [Fact]
    public void A_session_torn_or_changed_anywhere_loses_the_point()
    {
        Marked().Close(Image);
        var good = System.IO.File.ReadAllBytes(File);
        for (var at = 512; at < 512 + 56; at++)
        {
            var bad = good.ToArray();
            bad[at] ^= 0x10;
            System.IO.File.WriteAllBytes(File, bad);
            AssertLost(Boot, Image, "torn");
        }

        System.IO.File.WriteAllBytes(File, good[..540]);
        AssertLost(Boot, Image, "long");
        System.IO.File.WriteAllBytes(File, []);
        AssertLost(Boot, Image, "short");
        System.IO.File.Delete(File);
        AssertLost(Boot, Image, "failed");
    }

    [Fact]
    public void A_disk_of_another_length_loses_the_point()
    {
        Marked().Dispose();
        using var lost = ChangePoint.Open("a", File, Size + Granule, Boot, null);
        Assert.Equal(Size + Granule, lost.ChangedBytes(Size + Granule));
        Assert.Contains("device", lost.LostBecause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_point_that_cannot_be_made_leaves_nothing()
    {
        System.IO.File.WriteAllText(File, "somebody's");
        Assert.Equal(StorageErrorKind.AlreadyExists, Assert.Throws<StorageException>(() => ChangePoint.Create("a", File, Size, Boot)).Kind);
        Assert.Equal("somebody's", System.IO.File.ReadAllText(File));
        var nowhere = _folder.File("none/a");
        Assert.Equal(StorageErrorKind.NotFound, Assert.Throws<StorageException>(() => ChangePoint.Create("a", nowhere, Size, Boot)).Kind);
    }

    [Fact]
    public void A_full_file_system_refuses_a_point_or_a_session_and_what_was_there_is_lost_not_wrong()
    {
        // The kernel's own full file: every write to it fails.
        Assert.Equal(StorageErrorKind.NoSpace, Assert.Throws<StorageException>(() => new PointSession(false, Boot, default).Write("/dev/full")).Kind);
        Marked().Close(Image);
        System.IO.File.SetUnixFileMode(File, UnixFileMode.UserRead);
        if (Environment.IsPrivilegedProcess)
            TestContext.Current.TestOutputHelper?.WriteLine("root may write everywhere: the read-only file was opened all the same");
        using var point = Open(Boot, Image);
        Assert.Equal(Environment.IsPrivilegedProcess ? Granule : Size, point.ChangedBytes(Size));
    }

    [Fact]
    public void The_stamp_of_an_image_follows_its_content_and_identity()
    {
        var image = _folder.File("image");
        System.IO.File.WriteAllText(image, "one");
        var first = ImageStamp.TryRead(image);
        Assert.Equal(first, ImageStamp.TryRead(image));
        System.IO.File.SetLastWriteTimeUtc(image, System.IO.File.GetLastWriteTimeUtc(image).AddMinutes(1));
        Assert.NotEqual(first, ImageStamp.TryRead(image));
        Assert.Null(ImageStamp.TryRead("/dev/null"));
        Assert.Null(ImageStamp.TryRead(_folder.Path));
        Assert.Null(ImageStamp.TryRead(_folder.File("none")));
    }

    private ChangePoint Marked()
    {
        var point = ChangePoint.Create("a", File, Size, Boot);
        point.Mark(7 * Granule, 512);
        return point;
    }

    private ChangePoint Open(Guid boot, ImageStamp? image) => ChangePoint.Open("a", File, Size, boot, image);

    private void AssertLost(Guid boot, ImageStamp? image, string reason)
    {
        using var point = Open(boot, image);
        Assert.Contains(reason, point.LostBecause ?? "it is not lost", StringComparison.Ordinal);
        Assert.Equal(Size, point.ChangedBytes(Size));
        Assert.Equal(Size, point.RunEnd(0, Size, out var changed));
        Assert.True(changed);
    }
}
