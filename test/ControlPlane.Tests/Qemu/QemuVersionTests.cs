using Godwit.Qemu;
using Xunit;

namespace Godwit.ControlPlane.Tests.Qemu;

public sealed class QemuVersionTests
{
    [Theory]
    [InlineData("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright", "10.0.2")]
    [InlineData("QEMU emulator version 7.2\n", "7.2.0")]
    [InlineData("qemu-img version 10.0.2", null)]
    [InlineData("", null)]
    [InlineData("QEMU emulator version 99999.1.1", null)]
    public void The_version_is_read_from_what_QEMU_prints(string output, string? version) =>
        Assert.Equal(version, QemuVersion.Parse(output)?.ToString());

    [Fact]
    public void Versions_compare_by_number_not_by_text()
    {
        Assert.True(new QemuVersion(10, 0, 0).IsAtLeast(new QemuVersion(9, 2, 4)));
        Assert.False(new QemuVersion(9, 10, 0).IsAtLeast(new QemuVersion(10, 0, 0)));
        Assert.True(QemuVersion.Minimum.IsAtLeast(QemuVersion.Minimum));
    }
}
