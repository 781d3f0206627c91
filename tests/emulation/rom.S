# The 64 KiB boot ROM of run-avx512, in place of a BIOS: reset vector -> flat 32-bit mode -> PVH entry point of a Linux
# kernel that Bochs has preloaded. run-avx512 fills in `parameters`.

	.set	ROM, 0xf0000			# where the first megabyte shows the ROM

	.code16
	.section .text
	.globl	_start
_start:
	cli
	movb	$0x02, %al			# A20 gate open
	outb	%al, $0x92
	movw	$(ROM >> 4), %ax
	movw	%ax, %ds
	lgdtl	gdt_pointer - _start
	movl	%cr0, %eax
	orl	$1, %eax			# protection on
	movl	%eax, %cr0
	ljmpl	$0x08, $(ROM + protected - _start)

	.code32
protected:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	xorl	%eax, %eax
	movw	%ax, %fs
	movw	%ax, %gs

	# Bochs gives blocks of guest memory their host memory in the order of first touch, but has read the image into
	# consecutive host memory. Touching the image in ascending order before anything else makes the two agree.
	movl	ROM + image_start - _start, %esi
	movl	ROM + image_end - _start, %ecx
1:	movb	(%esi), %al
	addl	$0x10000, %esi
	cmpl	%ecx, %esi
	jb	1b

	# PVH: 32-bit mode, paging off, EBX = address of struct hvm_start_info.
	movl	ROM + start_info - _start, %ebx
	jmp	*(ROM + entry - _start)

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff		# 0x08: code, 4 GiB
	.quad	0x00cf93000000ffff		# 0x10: data, 4 GiB
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	ROM + gdt - _start

	.org	0xff00
parameters:
image_start:	.long	0
image_end:	.long	0
start_info:	.long	0
entry:		.long	0

	.org	0xfff0
	.code16
	ljmpw	$(ROM >> 4), $0			# the CPU starts here
	.org	0x10000
