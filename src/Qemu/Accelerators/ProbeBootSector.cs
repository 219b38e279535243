using System.Buffers.Binary;

namespace Godwit.Qemu.Accelerators;

/// <summary>
/// A boot sector of ours that proves that guest code really runs: it switches to 64-bit mode in ring 0 with paging on,
/// counts down, and reports by QEMU's isa-debug-exit device.
/// </summary>
/// <remarks>
/// <para>Some KVM back ends open, run firmware and 16-bit code, and then interpret ring 0 thousands of times too slowly
/// (3 µs per turn of this loop was measured). So the loop is what counts: 10 ms on a real processor, 15 s there.</para>
/// <para>Sources: Intel SDM volume 3, 10.8.5 "Initializing IA-32e Mode"; QEMU isa-debug-exit (exit status = value * 2 + 1).</para>
/// </remarks>
internal static class ProbeBootSector
{
    /// <summary>Exit status of QEMU when the loop has been run to its end.</summary>
    public const int ExitCode = 0x2A * 2 + 1;

    /// <summary>Turns of the loop.</summary>
    public const int Turns = 5_000_000;

    // SeaBIOS takes a disk without a whole cylinder for no disk.
    private const int DiskBytes = 1 << 20;
    private const int TurnsAt = 0x60;

    private static ReadOnlySpan<byte> Code =>
    [
        //                                            bits 16, loaded at 0x7C00
        0xFA, //                                  00  cli
        0x31, 0xC0, //                            01  xor  ax, ax
        0x8E, 0xD8, //                            03  mov  ds, ax
        0x8E, 0xC0, //                            05  mov  es, ax
        0x8E, 0xD0, //                            07  mov  ss, ax
        0xBC, 0x00, 0x7C, //                      09  mov  sp, 0x7C00
        0xFC, //                                  0C  cld
        //                                            page tables at 0x1000, 0x2000, 0x3000: the first 2 MiB, one to one
        0xBF, 0x00, 0x10, //                      0D  mov  di, 0x1000
        0xB9, 0x00, 0x18, //                      10  mov  cx, 0x1800
        0xF3, 0xAB, //                            13  rep  stosw
        0xC7, 0x06, 0x00, 0x10, 0x03, 0x20, //    15  mov  word [0x1000], 0x2003      level 4 -> level 3, writable, present
        0xC7, 0x06, 0x00, 0x20, 0x03, 0x30, //    1B  mov  word [0x2000], 0x3003      level 3 -> level 2
        0xC7, 0x06, 0x00, 0x30, 0x83, 0x00, //    21  mov  word [0x3000], 0x0083      level 2: a 2 MiB page
        0xE4, 0x92, //                            27  in   al, 0x92
        0x0C, 0x02, //                            29  or   al, 2                      A20 on
        0xE6, 0x92, //                            2B  out  0x92, al
        0x66, 0xB8, 0x20, 0x00, 0x00, 0x00, //    2D  mov  eax, 0x20                  CR4.PAE
        0x0F, 0x22, 0xE0, //                      33  mov  cr4, eax
        0x66, 0xB8, 0x00, 0x10, 0x00, 0x00, //    36  mov  eax, 0x1000
        0x0F, 0x22, 0xD8, //                      3C  mov  cr3, eax
        0x66, 0xB9, 0x80, 0x00, 0x00, 0xC0, //    3F  mov  ecx, 0xC0000080            EFER
        0x0F, 0x32, //                            45  rdmsr
        0x0D, 0x00, 0x01, //                      47  or   ax, 0x100                  EFER.LME
        0x0F, 0x30, //                            4A  wrmsr
        0x0F, 0x01, 0x16, 0x88, 0x7C, //          4C  lgdt [0x7C88]
        0x66, 0xB8, 0x01, 0x00, 0x00, 0x80, //    51  mov  eax, 0x80000001            CR0.PG and CR0.PE
        0x0F, 0x22, 0xC0, //                      57  mov  cr0, eax
        0xEA, 0x5F, 0x7C, 0x08, 0x00, //          5A  jmp  8:0x7C5F
        //                                            bits 64
        0xB9, 0x00, 0x00, 0x00, 0x00, //          5F  mov  ecx, Turns
        0xFF, 0xC9, //                            64  dec  ecx
        0x75, 0xFC, //                            66  jnz  64
        0xB8, 0x2A, 0x00, 0x00, 0x00, //          68  mov  eax, 0x2A
        0xE7, 0xF4, //                            6D  out  0xF4, eax                  isa-debug-exit: QEMU ends
        0xF4, //                                  6F  hlt
        0xEB, 0xFD, //                            70  jmp  6F
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, //    72  (padding)
        //                                        78  descriptors: none; 64-bit code, ring 0
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x9A, 0x20, 0x00,
        //                                        88  their length - 1 and address
        0x0F, 0x00, 0x78, 0x7C, 0x00, 0x00,
    ];

    /// <summary>Builds a disk image that starts with the sector.</summary>
    /// <param name="turns">Turns of the loop.</param>
    public static byte[] ToDisk(int turns = Turns)
    {
        var disk = new byte[DiskBytes];
        Code.CopyTo(disk);
        BinaryPrimitives.WriteInt32LittleEndian(disk.AsSpan(TurnsAt), turns);
        (disk[510], disk[511]) = (0x55, 0xAA);
        return disk;
    }
}
