using CsCheck;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class TextTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("4096", 4096)]
    [InlineData("4096B", 4096)]
    [InlineData("1K", 1024)]
    [InlineData("8G", 8L << 30)]
    [InlineData("8g", 8L << 30)]
    [InlineData("8GiB", 8L << 30)]
    [InlineData("8gib", 8L << 30)]
    [InlineData("1.5G", 3L << 29)]
    [InlineData("0.5K", 512)]
    [InlineData("2T", 2L << 40)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void A_size_is_read(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out var read));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("")]
    [InlineData("G")]
    [InlineData("8GB")]
    [InlineData("8KB")]
    [InlineData("8i")]
    [InlineData("8iB")]
    [InlineData("8GiBB")]
    [InlineData("8P")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData(" 8G")]
    [InlineData("8 G")]
    [InlineData("1,5G")]
    [InlineData("1e3")]
    [InlineData("0x10")]
    [InlineData("0.3K")]
    [InlineData("1.5")]
    [InlineData("9223372036854775808")]
    [InlineData("8388608T")]
    [InlineData("99999999999999999999999999999999999T")]
    public void What_is_no_exact_size_is_refused(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1 KiB")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData((1 << 20) - 1, "1 MiB")]
    [InlineData(8L << 30, "8 GiB")]
    [InlineData(5000L << 40, "5000 TiB")]
    [InlineData(long.MaxValue, "8388608 TiB")]
    public void A_size_is_written(long bytes, string text) => Assert.Equal(text, ByteSize.Format(bytes));

    [Fact]
    public void A_written_size_reads_back_to_within_its_rounding() => Gen.Long[0, 1L << 60].Sample(
        bytes =>
        {
            var typed = ByteSize.Format(bytes).Replace(" ", "", StringComparison.Ordinal);
            // One decimal of a KiB is no whole number of bytes; the size is then rightly refused.
            if (ByteSize.TryParse(typed, out var read))
                Assert.InRange(Math.Abs(read - bytes), 0, bytes * 0.05);
            else
                Assert.Contains('.', typed);
        },
        iter: 2_000);

    [Theory]
    [InlineData("a.vhdx", "/x/a.vhdx", null, null)]
    [InlineData("/srv/a.vhdx,size=8G", "/srv/a.vhdx", 8L << 30, null)]
    [InlineData("/srv/a.img,format=raw,size=512", "/srv/a.img", 512L, DiskFormat.Raw)]
    [InlineData("/srv/a,size=1M,format=vhdx-fixed", "/srv/a", 1L << 20, DiskFormat.VhdxFixed)]
    [InlineData("/srv/a=b.vhdx,format=vhdx", "/srv/a=b.vhdx", null, DiskFormat.VhdxDynamic)]
    [InlineData("/srv/a,,b.vhdx", "/srv/a,b.vhdx", null, null)]
    [InlineData("/srv/a,,,size=1K", "/srv/a,", 1024L, null)]
    [InlineData(",,size=1", "/x/,size=1", null, null)]
    [InlineData("../a.vhdx", "/a.vhdx", null, null)]
    public void A_disk_is_read(string text, string path, long? size, DiskFormat? format)
    {
        Assert.True(DiskSpecText.TryParse(text, typed => Path.GetFullPath(typed, "/x"), out var spec, out var error), error);
        Assert.Equal(new DiskSpec(path, size, format), spec);
    }

    [Theory]
    [InlineData("none", DiskCache.None)]
    [InlineData("writethrough", DiskCache.Writethrough)]
    [InlineData("writeback", DiskCache.Writeback)]
    public void A_disk_has_a_cache_mode(string word, DiskCache cache)
    {
        Assert.True(DiskSpecText.TryParse($"/a,cache={word},size=1M", typed => typed, out var spec, out _));
        Assert.Equal(new DiskSpec("/a", 1 << 20, null, cache), spec);
    }

    [Fact]
    public void A_disk_and_a_DVD_drive_have_a_place()
    {
        Assert.True(DiskSpecText.TryParse("/a,location=3,controller=scsi,number=1", typed => typed, out var spec, out _));
        Assert.Equal(new DiskSpec("/a", null, null, null, ControllerType.Scsi, 1, 3), spec);
        Assert.Equal(new DvdDriveSpec("/x/a,b.iso", ControllerType.Ide), DvdSpecText.Read("a,,b.iso,controller=ide", typed => "/x/" + typed, out _));
        Assert.Equal(new DvdDriveSpec(), DvdSpecText.Read("", typed => "/x/" + typed, out _));
    }

    [Theory]
    [InlineData("", "begins with the path")]
    [InlineData(",size=1G", "begins with the path")]
    [InlineData("a,size=", "\"\" is not a size")]
    [InlineData("a,size=0", "is not a size")]
    [InlineData("a,size=8GB", "\"8GB\" is not a size: write bytes")]
    [InlineData("a,size=1G,size=2G", "size is given twice")]
    [InlineData("a,format=qcow2", "use vhdx, vhdx-fixed, ")]
    [InlineData("a,format=raw,format=raw", "format is given twice")]
    [InlineData("a,b.vhdx", "\"b.vhdx\" is none of size=…, format=…, cache=…, controller=…, number=… and location=…")]
    [InlineData("a,", "is none of")]
    [InlineData("a,cache=unsafe", "\"unsafe\" is not a cache mode: use none, writethrough, writeback")]
    [InlineData("a,cache=none,cache=none", "cache is given twice")]
    [InlineData("a,controller=sata", "\"sata\" is not a controller: use ide, scsi, virtio")]
    [InlineData("a,controller=scsi,number=-1", "\"-1\" is not a number")]
    [InlineData("a,location=1", "location needs controller=…")]
    public void A_disk_that_is_not_understood_says_why(string text, string why)
    {
        Assert.False(DiskSpecText.TryParse(text, typed => typed, out var spec, out var error));
        Assert.Null(spec);
        Assert.Contains(why, error, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_path_survives_with_its_commas_doubled() =>
        Gen.String[Gen.Char["ab,=/ é"], 1, 20].Where(path => path.Length > 0).Sample(path =>
        {
            var text = path.Replace(",", ",,", StringComparison.Ordinal) + ",size=1G";
            Assert.True(DiskSpecText.TryParse(text, typed => typed, out var spec, out var error), error);
            Assert.Equal(new DiskSpec(path, 1L << 30), spec);
        });

    [Theory]
    [InlineData(0, "0:00")]
    [InlineData(0.2, "0:01")]
    [InlineData(83, "1:23")]
    [InlineData(3723, "1:02:03")]
    [InlineData(-5, "0:00")]
    public void A_duration_is_written(double seconds, string text) => Assert.Equal(text, Clock.Format(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void Escape_sequences_in_names_do_not_reach_the_terminal() =>
        Assert.Equal("a?[31mb?c?d", Printable.From("a\e[31mb\nc\u009bd"));

    [Theory]
    [InlineData("web", "web")]
    [InlineData("/srv/a-b_1.vhdx", "/srv/a-b_1.vhdx")]
    [InlineData("my vm", "'my vm'")]
    [InlineData("it's", @"'it'\''s'")]
    [InlineData("", "''")]
    public void A_word_for_copying_is_quoted_when_it_needs_that(string word, string quoted) => Assert.Equal(quoted, Quoting.ForShell(word));

    [Fact]
    public void A_table_aligns_and_ends_lines_without_spaces()
    {
        var table = new Table(new Paint(false), "NAME", ">SIZE", "PATH");
        table.Add("a", "12", "/x");
        table.Add("longer", "1", "");
        var writer = new StringWriter { NewLine = "\n" };
        table.Write(writer);
        Assert.Equal("NAME    SIZE  PATH\na         12  /x\nlonger     1\n", writer.ToString());
    }
}
